/* void __tmebox_initialize(void): run constructors, once. Exported; the runtime calls it when a sandbox is created
   from a module that has it, and _start calls it for a command. libc itself needs no start-up. */
#include <stdint.h>

#include "start.h"

typedef void function(void);

extern __attribute__((__weak__)) HIDDEN function *const __preinit_array_start[], *const __preinit_array_end[];
extern __attribute__((__weak__)) HIDDEN function *const __init_array_start[], *const __init_array_end[];

static void run(function *const *first, function *const *end)
{
	for (; (uintptr_t)first < (uintptr_t)end; first++) (*first)();
}

void __tmebox_initialize(void)
{
	static int done;
	if (done) return;
	done = 1;
	run(__preinit_array_start, __preinit_array_end);
	run(__init_array_start, __init_array_end);
}
