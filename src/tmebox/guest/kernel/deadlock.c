/* When no thread can go on, or one has run over its stack: the host is told where each stands, and ends the call. */
#include <string.h>
#include <sys/syscall.h>

#include "tasks.h"

enum { ROWS = 64 };
static long reason;

static struct standing row(const struct task *task)
{
	struct standing row = { .tid = task->tid, .rsp = task->rsp, .waits_at = (unsigned long)task->word };
	memcpy(row.name, task->name, sizeof row.name);
	return row;
}

/* The running thread first. */
_Noreturn void __tmebox_tell_who_stands_still(void)
{
	static struct standing rows[ROWS];
	size_t count = 0;
	const struct task *task = __tmebox_task;
	do {
		if ((!task->over || reason == TMEBOX_STANDING_OVERFLOW) && count < ROWS) rows[count++] = row(task);
	} while ((task = task->next) != __tmebox_task);
	const long arguments[6] = { reason, (long)rows, count };
	__tmebox_syscall(TMEBOX_SYS_THREADS_STAND_STILL, arguments);
	__builtin_trap();
}

/* `below`: somebody could run, but is in a call of the host's that another has to return before. */
HIDDEN _Noreturn void __tmebox_deadlock(volatile int *word, int below)
{
	reason = below ? TMEBOX_STANDING_BELOW : TMEBOX_STANDING_DEADLOCK;
	if (word) __tmebox_task->word = word;
	__tmebox_stand_still(&__tmebox_task->rsp);
}

HIDDEN _Noreturn void __tmebox_stack_overflow(void)
{
	reason = TMEBOX_STANDING_OVERFLOW;
	__tmebox_stand_still(&__tmebox_task->rsp);
}
