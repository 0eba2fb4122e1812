/* The time, in registers where the core tells it: no memory is written by the host, no Python asked. A thread that looks
   at the clock again and again has its turn taken like one that makes system calls. */
#include <sys/syscall.h>
#include <time.h>

#include "kernel.h"
#include "syscall.h"

extern HIDDEN unsigned __tmebox_others;
extern HIDDEN int __tmebox_turn_left;
HIDDEN void __tmebox_turn_over(void);

int __clock_gettime(clockid_t clock, struct timespec *time)
{
	struct timespec now;
	__tmebox_look_at_timers();
	if (__tmebox_others && --__tmebox_turn_left < 0) __tmebox_turn_over();
	if (__tmebox_clock(clock, &now)) {
		*time = now;
		return 0;
	}
	return __syscall_ret(__syscall(SYS_clock_gettime, clock, time));
}

weak_alias(__clock_gettime, clock_gettime);
