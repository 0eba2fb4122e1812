/* The keeper of turns: a thread of the scheduler's own, on a stack of its own, which goes on where another one has run for a
   slice of time and was interrupted. It decides who is next.

   The one that was interrupted stands between any two instructions. The core has its registers, and lets it go on when the
   keeper changes to it. Nobody interrupts the keeper. So whatever has to be in order at the moment when such a thread goes
   on, the keeper brings in order. */
#ifdef __tmebox_twin__
#include "tasks.h"

enum { STACK_PAGES = 8 };

static int exists;
static enum { NEVER, AT_ONCE, LATER } limited;
static struct task *chosen; /* by who has changed to the keeper; or NULL: a slice is over */

/* Like __tmebox_switch: one more than the number of the thread that was interrupted; 0: one has changed to the keeper. */
struct told {
	long unused, interrupted;
};
struct told __tmebox_switch_and_be_told(unsigned long *from, long number, long ends) __asm__("__tmebox_switch");

__attribute__((__weak__)) HIDDEN int __tmebox_lends_stack(struct task *task);

/* Who runs after a slice of `task`, which nothing has begun to take its turn from. */
static struct task *next_after(struct task *task)
{
	task->interrupted = 1;
	task->rsp = 0; /* nothing that backtraces could begin with */
	if (!__tmebox_contended()) {
		limited = AT_ONCE; /* in a sandbox that began as another was, too */
		__tmebox_limit_turns();
		return task;
	}
	__tmebox_look_outside_by_now();
	__tmebox_enqueue(task);
	struct task *next = __tmebox_take_first();
	if (!next) __builtin_trap(); /* it could go on itself */
	if (next != task) __tmebox_run_as(next);
	return next;
}

static long who_goes_on(void)
{
	struct task *next = chosen ? chosen : next_after(__tmebox_task);
	chosen = NULL;
	if (next->interrupted) __tmebox_finish_change(); /* it cannot do that itself */
	if (next->interrupted && !(__tmebox_lends_stack && __tmebox_lends_stack(next))) {
		__tmebox_kept.keeps_turn = 0;
		next->interrupted = 0;
	} else {
		__tmebox_kept.keeps_turn = 1; /* it stands in the scheduler, and knows what it was */
	}
	return next->number;
}

/* It begins as others go on: with an answer in rax and rdx, where a function has its third argument. */
static void keep_turns(long first, long second, long interrupted)
{
	(void)first, (void)second;
	struct told told = { 0, interrupted };
	unsigned long unused;
	for (;;) {
		long number = told.interrupted - 1;
		if (told.interrupted && __tmebox_kept.keeps_turn) {
			/* It is in the middle of something, perhaps of changing threads, and ends its turn where it next could. */
			__tmebox_slice_end_ns = 1;
			__tmebox_turn_left = 0;
		} else {
			number = who_goes_on();
		}
		told = __tmebox_switch_and_be_told(&unused, number, 0);
	}
}

/* A thread of the scheduler's own, which is no task: its number, or less than 0. low: where its stack begins. */
HIDDEN long __tmebox_begin_helper(void (*function)(long, long, long), size_t pages, unsigned long *low)
{
	*low = (unsigned long)__tmebox_pages_get_for_stack(pages);
	if (!*low) return -ENOMEM;
	unsigned long end = *low + pages * TMEBOX_PAGE_SIZE;
	int fits = *low > __tmebox_stacks_start() && end <= __tmebox_stacks_end();
	long number = fits ? __tmebox_ask_core(TMEBOX_SYS_BEGIN_THREAD, (unsigned long)function, *low, end) : -ENOMEM;
	if (number < 0) {
		__tmebox_pages_put(*low, pages);
		*low = 0;
	}
	return number;
}

/* Before there are other threads: it is the first. */
HIDDEN int __tmebox_has_keeper(void)
{
	if (exists) return 1;
	unsigned long low;
	long number = __tmebox_begin_helper(keep_turns, STACK_PAGES, &low);
	if (number < 0) return 0;
	if (number != TMEBOX_KEEPER) __builtin_trap();
	return exists = 1;
}

static void limit_to(int wanted)
{
	if (!exists || (wanted == limited && wanted != LATER)) return;
	limited = wanted;
	__tmebox_ask_core(TMEBOX_SYS_SLICES, wanted != NEVER, wanted == LATER ? __tmebox_timer_late_in_ns() : 0, 0);
}

/* A turn is over after a slice of time if somebody else could run, now or by itself later. If not, but a timer runs, then
   after that. */
HIDDEN void __tmebox_limit_turns(void)
{
	limit_to(__tmebox_contended() ? AT_ONCE : __tmebox_timer_due_ns ? LATER : NEVER);
}

/* Everybody waits, and what is waited for comes by itself. */
HIDDEN void __tmebox_let_turns_be(void)
{
	limit_to(NEVER);
}

HIDDEN void __tmebox_go_on_interrupted(struct task *task, unsigned long *from, long ends)
{
	chosen = task;
	__tmebox_switch(from, TMEBOX_KEEPER, ends);
}
#endif
