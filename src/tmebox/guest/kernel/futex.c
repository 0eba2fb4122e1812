/* futex of a process with one thread: nobody to wake, and nobody who could ever wake us.

   A wait with a time limit sleeps it out. One without would hang for good, which is always the program's mistake
   (it locked twice, or waits for a thread that it could not create): say so and abort rather than spin. */
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>

#include "futex.h"
#include "kernel.h"

static long say(const char *text, size_t size_bytes)
{
	const long arguments[6] = { 2, (long)text, size_bytes };
	return __tmebox_ask(SYS_write, arguments);
}

HIDDEN long __tmebox_futex(volatile int *word, int operation, int value, const void *timeout)
{
	static const char deadlock[] = "tmebox: deadlock: waiting for a lock that nobody is left to release\n";
	switch (operation & ~(FUTEX_PRIVATE | FUTEX_CLOCK_REALTIME)) {
	case FUTEX_WAKE:
	case FUTEX_REQUEUE:
		return 0;
	case FUTEX_WAIT:
		break;
	default:
		return -ENOSYS;
	}
	if (*word != value) return -EAGAIN;
	if (!timeout) {
		say(deadlock, sizeof deadlock - 1);
		abort();
	}
	const long arguments[6] = { (long)timeout };
	long result = __tmebox_ask(SYS_nanosleep, arguments);
	return result < 0 ? result : -ETIMEDOUT;
}
