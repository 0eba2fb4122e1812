/* Asking the host, until it has an answer. */
#include <errno.h>
#include <sys/syscall.h>
#include <time.h>

#include "kernel.h"

/* Those that no handler lets go on, whatever its SA_RESTART says: see signal(7). */
static int never_restarts(long number)
{
	switch (number) {
	case SYS_nanosleep:
	case SYS_clock_nanosleep:
	case SYS_poll:
	case SYS_ppoll:
	case SYS_select:
	case SYS_pselect6:
	case SYS_epoll_wait:
	case SYS_epoll_pwait:
		return 1;
	}
	return 0;
}

static long now_ns(void)
{
	struct timespec now;
	const long arguments[6] = { CLOCK_MONOTONIC, (long)&now };
	return __tmebox_syscall(SYS_clock_gettime, arguments) < 0 ? 0 : now.tv_sec * 1000000000 + now.tv_nsec;
}

/* How much of a sleep was left when it ended early. The host does not tell. */
static void tell_rest(long number, const long arguments[6], long begun_ns)
{
	const struct timespec *asked = (const struct timespec *)arguments[number == SYS_nanosleep ? 0 : 2];
	struct timespec *rest = (struct timespec *)arguments[number == SYS_nanosleep ? 1 : 3];
	if (!rest || (number == SYS_clock_nanosleep && arguments[1] & TIMER_ABSTIME)) return;
	long gone_ns = now_ns() - begun_ns;
	long seconds = asked->tv_sec - gone_ns / 1000000000, nanoseconds = asked->tv_nsec - gone_ns % 1000000000;
	if (nanoseconds < 0) seconds--, nanoseconds += 1000000000;
	*rest = seconds < 0 ? (struct timespec){ 0, 0 } : (struct timespec){ seconds, nanoseconds };
}

/* The host waits in short slices, so that a time limit or Ctrl-C can take effect between them: -EINTR means that the
   wait is not over. Between two slices a timer of the program's may go off; if its handler ran, and does not want the
   call to go on, the program sees -EINTR. */
HIDDEN long __tmebox_ask(long number, const long arguments[6])
{
	int sleeps = number == SYS_nanosleep || number == SYS_clock_nanosleep;
	long result, begun_ns = sleeps ? now_ns() : 0;
	for (;;) {
		result = __tmebox_syscall(number, arguments);
		if (result != -EINTR) return result;
		unsigned long *count = never_restarts(number) ? &__tmebox_handled : &__tmebox_interruptions;
		unsigned long before = *count;
		__tmebox_look_at_timers();
		if (*count == before) continue;
		const long none[6] = { 0 };
		__tmebox_syscall(SYS_sched_yield, none); /* the host forgets the wait: the next one is another */
		if (sleeps) tell_rest(number, arguments, begun_ns);
		return result;
	}
}
