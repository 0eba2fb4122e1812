/* setitimer, which alarm and ualarm call: as musl's, and the timer interrupts a program that computes. */
#include <sys/time.h>
#include "syscall.h"

__attribute__((__visibility__("hidden"))) void __tmebox_timer_changed(void);

int setitimer(int which, const struct itimerval *restrict wanted, struct itimerval *restrict before)
{
	int result = syscall(SYS_setitimer, which, wanted, before);
#ifdef __tmebox_twin__
	if (!result && wanted) __tmebox_timer_changed();
#endif
	return result;
}
