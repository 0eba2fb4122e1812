/* stdin, which nobody but its size tells from musl's. */
#include "buffer.h"
#include "stdio_impl.h"

#undef stdin

static unsigned char room[UNGET + BUFFER_BYTES];

hidden FILE __stdin_FILE = {
	.flags = F_PERM | F_NOWR,
	.fd = 0,
	.buf = room + UNGET,
	.buf_size = BUFFER_BYTES,
	.lock = -1,
	.read = __stdio_read,
	.seek = __stdio_seek,
	.close = __stdio_close,
};

FILE *const stdin = &__stdin_FILE;
FILE *volatile __stdin_used = &__stdin_FILE;
