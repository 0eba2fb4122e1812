/* A thread's descriptor is found by a variable, which changes with the thread that runs. Its thread-local
   variables are as far from the first thread's, which are ordinary data, as another says. */
#include <stdint.h>

extern __attribute__((__visibility__("hidden"))) struct __pthread *__tmebox_self, __tmebox_first_thread;
extern uintptr_t __tmebox_thread_offset;

static inline uintptr_t __get_tp(void)
{
	return (uintptr_t)__tmebox_self;
}

#define MC_PC gregs[REG_RIP]
