#ifndef TMEBOX_TOLD_H
#define TMEBOX_TOLD_H

#include <time.h>

#include "kernel.h"

extern HIDDEN unsigned __tmebox_others;
extern HIDDEN int __tmebox_turn_left;
HIDDEN void __tmebox_turn_over(void);

/* The time, in registers where the core tells it: no memory is written by the host, no Python asked. A thread that looks
   at the clock again and again has its turn taken like one that makes system calls. 0: it is not told. */
static inline int told_time(clockid_t clock, struct timespec *now)
{
	if (__tmebox_timer_due_ns) __tmebox_look_at_timers();
	if (__tmebox_others && --__tmebox_turn_left < 0) __tmebox_turn_over();
	return __tmebox_clock(clock, now);
}

#endif
