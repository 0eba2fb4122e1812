/* Asking the host, until it has an answer. */
#include <errno.h>

#include "kernel.h"

/* The host waits in short slices, so that a time limit or Ctrl-C can take effect between them: -EINTR means that the
   wait is not over, and nothing else, since no signal ever interrupts a sandbox. */
HIDDEN long __tmebox_ask(long number, const long arguments[6])
{
	long result;
	do result = __tmebox_syscall(number, arguments);
	while (result == -EINTR);
	return result;
}
