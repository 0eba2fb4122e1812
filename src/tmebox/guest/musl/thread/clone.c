/* clone(), as pthread_create() calls it: another thread of this sandbox. There are no other processes. */
#define _GNU_SOURCE
#include <sched.h>
#include <stdarg.h>

#include "pthread_impl.h"
#include "tasks.h"

/* Others refer to it weakly, so that programs without threads are linked without it. */
__attribute__((__used__)) static long (*const needed)(long, const long[6]) = __tmebox_call_in_turn;

int __clone(int (*entry)(void *), void *stack, int flags, void *argument, ...)
{
	if (!(flags & CLONE_THREAD)) return -ENOSYS;
	va_list more;
	va_start(more, argument);
	int *tid = va_arg(more, int *);
	pthread_t descriptor = va_arg(more, void *);
	volatile int *clear_at_exit = va_arg(more, void *);
	va_end(more);

	uintptr_t top = ((uintptr_t)stack - sizeof(struct task)) & -64UL;
	if (top <= __tmebox_stacks_start() || top > __tmebox_stacks_end()) return -EAGAIN; /* no stack may be there */
	struct task *task = (struct task *)top;
	uintptr_t low = (uintptr_t)descriptor->stack - descriptor->stack_size;
	*task = (struct task){
		.descriptor = descriptor,
		.variables = (uintptr_t)descriptor->dtv,
		.stack_low = low,
		.guard = descriptor->guard_size,
		.entry = entry,
		.argument = argument,
		.clear_at_exit = clear_at_exit,
	};
	__tmebox_keep_turn(); /* it knows its number when it begins */
	int result = __tmebox_add_task(task, top);
	if (result > 0) *tid = result;
	__tmebox_release_turn();
	return result;
}
