/* What the rewriter makes of the thread pointer. 0 for the first thread. */
#include <stdint.h>

uintptr_t __tmebox_thread_offset;
