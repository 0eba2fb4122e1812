/* Handlers of signals for a thread that computes, and asks for nothing: they run on a stack of their own, while the thread
   stands where the core has interrupted it.

   To the scheduler the thread is in the handler meanwhile: it has the number of the stack that is lent to it, and goes on there
   after it has waited or was interrupted again. There is one such stack. While it is lent, other signals come in calls.

   A handler cannot jump back into what it interrupts, as it can out of a call: nobody knows how the stack there is used. */
#ifdef __tmebox_twin__
#include "tasks.h"

enum { STACK_PAGES = 16 };

static long number; /* of the stack's thread; 0: there is none */
static unsigned long stack_low;

static struct {
	struct task *task; /* whose handlers run; or NULL */
	long number;
	unsigned long stack_low, guard; /* its own */
} borrower;

static void lend(struct task *task)
{
	borrower.task = task;
	borrower.number = task->number;
	borrower.stack_low = task->stack_low;
	borrower.guard = task->guard;
	task->number = number;
	task->stack_low = stack_low;
	task->guard = 0;
	task->interrupted = 0;
}

static struct task *take_back(void)
{
	struct task *task = borrower.task;
	task->number = borrower.number;
	task->stack_low = borrower.stack_low;
	task->guard = borrower.guard;
	task->interrupted = 1;
	borrower.task = NULL;
	return task;
}

static void begin_stack(void);

/* `task` ends, and if that is in a handler, what the handler interrupts ends with the stack that it runs on, which is begun
   anew. The number of the former, or 0. */
HIDDEN long __tmebox_ends_handler(struct task *task)
{
	if (borrower.task != task) return 0;
	borrower.task = NULL;
	begin_stack();
	return borrower.number;
}

static void run_handlers(long first, long second, long third)
{
	(void)first, (void)second, (void)third;
	for (;;) {
		__tmebox_take_signals();
		unsigned long unused;
		__tmebox_go_on_interrupted(take_back(), &unused, 0);
	}
}

/* Where it was before, if it was. */
static void begin_stack(void)
{
	unsigned long end = stack_low + STACK_PAGES * TMEBOX_PAGE_SIZE;
	long begun = stack_low ? __tmebox_ask_core(TMEBOX_SYS_BEGIN_THREAD, (unsigned long)run_handlers, stack_low, end)
	                       : __tmebox_begin_helper(run_handlers, STACK_PAGES, &stack_low);
	number = begun > 0 ? begun : 0;
}

/* The keeper is about to let `task`, which runs, go on where it was interrupted: whether it goes on in a handler first. */
HIDDEN int __tmebox_lends_stack(struct task *task)
{
	__tmebox_look_at_timers_late();
	if (!number || borrower.task || !__tmebox_has_signals()) return 0;
	lend(task);
	return 1;
}

/* The timer was set, or is over. Where there is no room for all that this needs, its signal comes in calls. */
HIDDEN void __tmebox_timer_changed(void)
{
	__tmebox_keep_turn();
	if (__tmebox_timer_due_ns && !number && __tmebox_has_keeper()) begin_stack();
	if (number) __tmebox_limit_turns();
	__tmebox_release_turn();
}
#endif
