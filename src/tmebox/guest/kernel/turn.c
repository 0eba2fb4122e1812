/* What every program has of threads that take turns: the first one, and whose turn it is. The rest is linked into
   programs that make threads. */
#include <limits.h>

#include "pthread_impl.h"
#include "tasks.h"

HIDDEN unsigned __tmebox_others;
HIDDEN struct kept __tmebox_kept = {
	.variables = &__tmebox_thread_offset,
	.self = &__tmebox_self,
	.cleanups = offsetof(struct pthread, cancelbuf),
	.mark = TMEBOX_KEPT_MARK,
};
_Static_assert(offsetof(struct kept, mark) == TMEBOX_KEPT_BYTES, "the loader looks there");
HIDDEN struct task *__tmebox_queue;
HIDDEN unsigned __tmebox_waiting_outside;
HIDDEN struct task __tmebox_first_task = {
	.next = &__tmebox_first_task,
	.previous = &__tmebox_first_task,
	.descriptor = &__tmebox_first_thread,
	.clear_at_exit = &__thread_list_lock,
	.tid = 1,
};
HIDDEN struct task *__tmebox_task = &__tmebox_first_task;

/* Counts down at each atomic exchange of the C library, which locks are made of, and at system calls. */
HIDDEN int __tmebox_turn_left = INT_MAX;

__attribute__((__weak__)) HIDDEN void __tmebox_look_at_the_clock(void);

HIDDEN void __tmebox_turn_over(void)
{
	__tmebox_turn_left = INT_MAX;
	if (!__tmebox_others) return;
	__tmebox_keep_turn();
	__tmebox_look_at_the_clock();
	__tmebox_release_turn();
}
