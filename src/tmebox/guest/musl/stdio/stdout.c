/* stdout, marked so that the host finds it in the module's data: what is still in its buffer when the sandbox ends
   is written by the host, since no code of the sandbox runs any more. */
#include <stddef.h>

#include "abi.h"
#include "buffer.h"
#include "stdio_impl.h"

#undef stdout

_Static_assert(offsetof(FILE, wpos) == TMEBOX_FILE_WPOS, "runtime/stdio.py reads it");
_Static_assert(offsetof(FILE, wbase) == TMEBOX_FILE_WBASE, "runtime/stdio.py reads it");
_Static_assert(offsetof(FILE, fd) == TMEBOX_FILE_FD, "runtime/stdio.py reads it");
_Static_assert(offsetof(FILE, cookie) == TMEBOX_FILE_COOKIE, "runtime/stdio.py looks for it");

static unsigned char room[UNGET + BUFFER_BYTES];

hidden FILE __stdout_FILE = {
	.flags = F_PERM | F_NORD,
	.fd = 1,
	.buf = room + UNGET,
	.buf_size = BUFFER_BYTES,
	.lbf = '\n',
	.lock = -1,
	.write = __stdout_write,
	.seek = __stdio_seek,
	.close = __stdio_close,
	.cookie = (void *)TMEBOX_STDOUT_MARK,
};

FILE *const stdout = &__stdout_FILE;
FILE *volatile __stdout_used = &__stdout_FILE;
