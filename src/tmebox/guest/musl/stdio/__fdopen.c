/* fdopen(), and through it fopen(): with a buffer of our size. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "buffer.h"
#include "libc.h"
#include "stdio_impl.h"

struct opened {
	FILE file;
	unsigned char room[UNGET + BUFFER_BYTES];
};

static int flags_of(const char *mode)
{
	int flags = *mode == 'a' ? F_APP : 0;
	if (strchr(mode, '+')) return flags;
	return flags | (*mode == 'r' ? F_NOWR : F_NORD);
}

static void append_always(int descriptor)
{
	long flags = __syscall(SYS_fcntl, descriptor, F_GETFL);
	if (!(flags & O_APPEND)) __syscall(SYS_fcntl, descriptor, F_SETFL, flags | O_APPEND);
}

static int is_terminal(int descriptor)
{
	struct winsize size;
	return __syscall(SYS_ioctl, descriptor, TIOCGWINSZ, &size) == 0;
}

FILE *__fdopen(int descriptor, const char *mode)
{
	if (!*mode || !strchr("rwa", *mode)) {
		errno = EINVAL;
		return NULL;
	}
	struct opened *opened = malloc(sizeof *opened);
	if (!opened) return NULL;
	if (strchr(mode, 'e')) __syscall(SYS_fcntl, descriptor, F_SETFD, FD_CLOEXEC);
	if (*mode == 'a') append_always(descriptor);
	int flags = flags_of(mode);
	opened->file = (FILE){
		.flags = flags,
		.fd = descriptor,
		.buf = opened->room + UNGET,
		.buf_size = BUFFER_BYTES,
		.lbf = !(flags & F_NOWR) && is_terminal(descriptor) ? '\n' : EOF,
		.lock = libc.threaded ? 0 : -1,
		.read = __stdio_read,
		.write = __stdio_write,
		.seek = __stdio_seek,
		.close = __stdio_close,
	};
	return __ofl_add(&opened->file);
}

weak_alias(__fdopen, fdopen);
