/* alarm() and setitimer(): one timer of real time, whose SIGALRM comes when the program asks the host for something, and while
   it waits. A program that only computes is interrupted a little later, where that can be: see handlers.c.

   Timers of processor time are not there: a sandbox does not know its own. */
#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

#include "kernel.h"

enum { SECOND_NS = 1000000000, MICROSECOND_NS = 1000 };
static const long LONGEST_S = 1L << 32;

HIDDEN long __tmebox_timer_due_ns;
static long interval_ns;

static long now_ns(void)
{
	struct timespec now;
	const long arguments[6] = { CLOCK_MONOTONIC, (long)&now };
	if (!__tmebox_clock(CLOCK_MONOTONIC, &now) && __tmebox_syscall(SYS_clock_gettime, arguments)) return 0;
	return now.tv_sec * SECOND_NS + now.tv_nsec;
}

static struct timeval from_ns(long time_ns)
{
	return (struct timeval){ time_ns / SECOND_NS, time_ns % SECOND_NS / MICROSECOND_NS };
}

/* -1 if it is no time. */
static long to_ns(struct timeval time)
{
	if (time.tv_sec < 0 || time.tv_usec < 0 || time.tv_usec >= SECOND_NS / MICROSECOND_NS) return -1;
	return (time.tv_sec < LONGEST_S ? time.tv_sec : LONGEST_S) * SECOND_NS + time.tv_usec * MICROSECOND_NS;
}

HIDDEN long __tmebox_getitimer(int which, struct itimerval *result)
{
	if (which != ITIMER_REAL) return -EINVAL;
	long left = __tmebox_timer_due_ns ? __tmebox_timer_due_ns - now_ns() : 0;
	if (__tmebox_timer_due_ns && left < MICROSECOND_NS) left = MICROSECOND_NS;
	*result = (struct itimerval){ .it_interval = from_ns(interval_ns), .it_value = from_ns(left) };
	return 0;
}

HIDDEN long __tmebox_setitimer(int which, const struct itimerval *new, struct itimerval *old)
{
	if (which != ITIMER_REAL) return -EINVAL;
	long first = new ? to_ns(new->it_value) : 0, next = new ? to_ns(new->it_interval) : 0;
	if (first < 0 || next < 0) return -EINVAL;
	if (old) __tmebox_getitimer(which, old);
	interval_ns = next;
	__tmebox_timer_due_ns = first ? now_ns() + first : 0;
	return 0;
}

HIDDEN long __tmebox_alarm(unsigned seconds)
{
	struct itimerval new = { .it_value = { .tv_sec = seconds } }, old;
	__tmebox_setitimer(ITIMER_REAL, &new, &old);
	return old.it_value.tv_sec + (old.it_value.tv_usec != 0);
}

/* Whether it is time, and more than that by `late_ns`. Then the timer is set anew, or off. */
static int goes_off(long late_ns)
{
	long now = now_ns();
	if (now - late_ns < __tmebox_timer_due_ns) return 0;
	if (interval_ns) __tmebox_timer_due_ns += ((now - __tmebox_timer_due_ns) / interval_ns + 1) * interval_ns;
	else __tmebox_timer_due_ns = 0;
	return 1;
}

__attribute__((__weak__)) HIDDEN void __tmebox_timer_changed(void);

/* Raise SIGALRM if it is time. */
HIDDEN void __tmebox_look_at_timers(void)
{
	if (!__tmebox_timer_due_ns) return;
	__tmebox_keep_turn();
	if (goes_off(0)) {
		if (__tmebox_timer_changed) __tmebox_timer_changed();
		__tmebox_raise(SIGALRM);
	}
	__tmebox_release_turn();
}

/* A call that the program makes soon is the better place, so whoever interrupts it waits for so long. */
enum { LATE_NS = 10000000 };

HIDDEN void __tmebox_look_at_timers_late(void)
{
	if (__tmebox_timer_due_ns && goes_off(LATE_NS)) __tmebox_send(SIGALRM);
}

/* When that would be: never at once. */
HIDDEN long __tmebox_timer_late_in_ns(void)
{
	long left = __tmebox_timer_due_ns + LATE_NS - now_ns();
	return left > 0 ? left : 1;
}
