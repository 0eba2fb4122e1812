/* futex: where threads wait for each other. All waiting and waking of musl's locks comes here.

   Where there is one thread, a wait with a time limit sleeps it out. One without would hang for good, which is the
   program's mistake (it locked twice, say): the host is told where it stands, and ends the call. */
#include <errno.h>
#include <limits.h>
#include <sys/syscall.h>
#include <time.h>

#include "futex.h"
#include "tasks.h"

/* Of programs with threads. */
__attribute__((__weak__)) HIDDEN long __tmebox_wait_at(volatile int *word, const struct timespec *limit);
__attribute__((__weak__)) HIDDEN long __tmebox_wake_at(volatile int *word, int most, int moved, volatile int *other);

static long sleep_alone(volatile int *word, const struct timespec *limit)
{
	if (!limit) __tmebox_deadlock(word, 0);
	const long arguments[6] = { (long)limit };
	long result = __tmebox_ask(SYS_nanosleep, arguments);
	return result < 0 ? result : -ETIMEDOUT;
}

/* `second`: a time limit, or how many to move to `other`. */
HIDDEN long __tmebox_futex(volatile int *word, int operation, int value, long second, volatile int *other)
{
	const struct timespec *limit = (const struct timespec *)second;
	switch (operation & ~(FUTEX_PRIVATE | FUTEX_CLOCK_REALTIME)) {
	case FUTEX_WAKE:
		return __tmebox_others ? __tmebox_wake_at(word, value, 0, NULL) : 0;
	case FUTEX_REQUEUE:
		return __tmebox_others ? __tmebox_wake_at(word, value, second < INT_MAX ? second : INT_MAX, other) : 0;
	case FUTEX_WAIT:
		break;
	default:
		return -ENOSYS;
	}
	if (*word != value) return -EAGAIN;
	return __tmebox_others ? __tmebox_wait_at(word, limit) : sleep_alone(word, limit);
}
