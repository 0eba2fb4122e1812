/* Servers ask for it more often than for anything else, so it does not go through clock_gettime(), as musl's does. */
#include <sys/time.h>
#include <time.h>

#include "told.h"

enum { MICROSECOND_NS = 1000 };

int __clock_gettime(clockid_t clock, struct timespec *time);

int gettimeofday(struct timeval *restrict time, void *restrict zone)
{
	struct timespec now, asked; /* two: `now` stays in registers */
	if (!time) return 0;
	if (!told_time(CLOCK_REALTIME, &now)) {
		__clock_gettime(CLOCK_REALTIME, &asked);
		now = asked;
	}
	*time = (struct timeval){ now.tv_sec, (unsigned)now.tv_nsec / MICROSECOND_NS };
	return 0;
}
