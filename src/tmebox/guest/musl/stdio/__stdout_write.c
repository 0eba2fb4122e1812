/* stdout decides at its first write how it buffers: by lines at a terminal, else fully. Functions called from
   outside never reach exit(), which would flush, so for them it stays with lines. */
#include <sys/ioctl.h>

#include "abi.h"
#include "start.h"
#include "stdio_impl.h"

size_t __stdout_write(FILE *f, const unsigned char *buf, size_t len)
{
	struct winsize size;
	f->write = __stdio_write;
	if (!(f->flags & F_SVB) && __tmebox_is_command && __syscall(SYS_ioctl, f->fd, TIOCGWINSZ, &size)) f->lbf = -1;
	return __stdio_write(f, buf, len);
}
