/* Asking the host, until it has an answer. */
#include <errno.h>
#include <sys/syscall.h>

#include "kernel.h"

/* The host waits in short slices, so that a time limit or Ctrl-C can take effect between them: -EINTR means that the
   wait is not over. Between two slices a timer of the program's may go off; if its handler ran, and does not want the
   call to go on, the program sees -EINTR. */
HIDDEN long __tmebox_ask(long number, const long arguments[6])
{
	long result;
	for (;;) {
		result = __tmebox_syscall(number, arguments);
		if (result != -EINTR) return result;
		unsigned long before = __tmebox_interruptions;
		__tmebox_look_at_timers();
		if (__tmebox_interruptions == before) continue;
		const long none[6] = { 0 };
		__tmebox_syscall(SYS_sched_yield, none); /* the host forgets the wait: the next one is another */
		return result;
	}
}
