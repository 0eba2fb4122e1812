/* Included before libunwind's own files, where stacks are control stacks: what they read of frames, return addresses and
   registers that were kept, is there. The core gives it away, word by word. Everything else is read from memory. */
#ifdef __tmebox_twin__
#include <stdint.h>
#include <string.h>

#include "abi.h"

#ifdef __cplusplus
extern "C" {
#endif
struct __tmebox_word {
	long failed;
	unsigned long word;
};
struct __tmebox_word __tmebox_read_stack(long number, unsigned long offset) __asm__("__tmebox_syscall");
#ifdef __cplusplus
}
#endif

static inline void *__tmebox_read(void *to, const void *from, size_t size)
{
	if (size == 8) {
		struct __tmebox_word read = __tmebox_read_stack(TMEBOX_SYS_READ_STACK, (unsigned long)from);
		if (!read.failed) return __builtin_memcpy(to, &read.word, 8);
	}
	return __builtin_memcpy(to, from, size);
}
#define memcpy(to, from, size) __tmebox_read(to, from, size)
#endif
