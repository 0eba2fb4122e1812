/* Waiting while other threads live: for each other, for a time, for descriptors.

   A system call that would have to wait lets others run. Only where nobody else can run, or will be able to by itself,
   does it wait in the host, as it does in a program with one thread. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>

#include "tasks.h"

enum { SECOND_NS = 1000000000, MILLISECOND_NS = 1000000, MOST = 1024 };
static const long NEVER = 0, NO_TIME = -1, BAD_TIME = -2, LONGEST_S = 1L << 32;

static long duration_ns(const struct timespec *time)
{
	if (time->tv_sec < 0 || time->tv_nsec < 0 || time->tv_nsec >= SECOND_NS) return BAD_TIME;
	return (time->tv_sec < LONGEST_S ? time->tv_sec : LONGEST_S) * SECOND_NS + time->tv_nsec;
}

/* -- for each other ------------------------------------------------------------------------------------------ */
HIDDEN long __tmebox_wait_at(volatile int *word, const struct timespec *limit)
{
	long duration = limit ? duration_ns(limit) : 0;
	if (duration == BAD_TIME) return -EINVAL;
	if (limit && duration == 0) return -ETIMEDOUT;
	return __tmebox_wait(word, NULL, 0, limit ? __tmebox_now_ns() + duration : NEVER);
}

/* Wake at most so many that wait at `word`, and have some of the rest wait at `other` instead. */
HIDDEN long __tmebox_wake_at(volatile int *word, int most, int moved, volatile int *other)
{
	int count = 0;
	for (struct task *task; count < most && (task = __tmebox_waiting_longest_at(word)); count++) {
		__tmebox_wake(task, 0);
	}
	for (struct task *task; moved > 0 && other != word && (task = __tmebox_waiting_longest_at(word)); moved--) {
		task->word = other;
		count++;
	}
	return count;
}

/* -- for a time ---------------------------------------------------------------------------------------------- */
static long sleep_until(long end_ns, struct timespec *rest)
{
	while (__tmebox_now_ns() < end_ns) {
		if (__tmebox_wait(NULL, NULL, 0, end_ns) != -EINTR) continue;
		long left = end_ns - __tmebox_now_ns();
		if (rest) *rest = (struct timespec){ left > 0 ? left / SECOND_NS : 0, left > 0 ? left % SECOND_NS : 0 };
		return -EINTR;
	}
	return 0;
}

static long sleep_by(long clock, long flags, const struct timespec *time, struct timespec *rest)
{
	long duration = duration_ns(time);
	if (duration == BAD_TIME) return -EINVAL;
	if (flags & TIMER_ABSTIME) {
		struct timespec now;
		const long arguments[6] = { clock, (long)&now };
		long error = __tmebox_syscall(SYS_clock_gettime, arguments);
		if (error < 0) return error;
		duration -= now.tv_sec * SECOND_NS + now.tv_nsec;
		rest = NULL;
	}
	if (duration > 0) return sleep_until(__tmebox_now_ns() + duration, rest);
	__tmebox_yield();
	return 0;
}

/* -- for descriptors ----------------------------------------------------------------------------------------- */
static long look(struct pollfd *wanted, size_t count)
{
	const long arguments[6] = { (long)wanted, count, 0 };
	return __tmebox_syscall(SYS_poll, arguments);
}

/* Until `number` can be used without waiting, or at once if it does not wait. 0 or -EINTR. */
static long wait_for(int number, short events)
{
	struct pollfd wanted = { number, events, 0 };
	if (look(&wanted, 1) != 0) return 0;
	const long arguments[6] = { number, F_GETFL };
	long flags = __tmebox_syscall(SYS_fcntl, arguments);
	if (flags < 0 || flags & O_NONBLOCK) return 0;
	long result = __tmebox_wait(NULL, &wanted, 1, NEVER);
	return result == -EINTR ? result : 0;
}

/* Until any is ready: poll()'s result, 0 once it is `end_ns`, or -EINTR. */
static long wait_for_any(struct pollfd *wanted, size_t count, long end_ns)
{
	for (;;) {
		long found = look(wanted, count);
		if (found != 0) return found;
		if (end_ns == NO_TIME || (end_ns && __tmebox_now_ns() >= end_ns)) {
			__tmebox_yield();
			return look(wanted, count);
		}
		long result = __tmebox_wait(NULL, wanted, count, end_ns);
		if (result == -EINTR) return result;
	}
}

static long end_of(long limit_ns)
{
	return limit_ns < 0 ? NEVER : limit_ns == 0 ? NO_TIME : __tmebox_now_ns() + limit_ns;
}

static long poll_in_turn(const long arguments[6], long limit_ns)
{
	struct pollfd *wanted = (struct pollfd *)arguments[0];
	size_t count = arguments[1];
	if (limit_ns == BAD_TIME || count > MOST) return -EINVAL;
	if (count == 0) {
		long end = end_of(limit_ns);
		return end == NO_TIME ? 0 : sleep_until(end == NEVER ? LONG_MAX : end, NULL);
	}
	return wait_for_any(wanted, count, end_of(limit_ns));
}

static long epoll_in_turn(long number, const long arguments[6])
{
	const long at_once[6] = { arguments[0], arguments[1], arguments[2], 0, arguments[4], arguments[5] };
	int limit_ms = (int)arguments[3];
	long end = end_of(limit_ms < 0 ? -1 : (long)limit_ms * MILLISECOND_NS);
	for (;;) {
		long found = __tmebox_syscall(number, at_once);
		if (found != 0) return found;
		struct pollfd wanted = { (int)arguments[0], POLLIN, 0 };
		long result = wait_for_any(&wanted, 1, end);
		if (result <= 0) return result;
	}
}

/* select(): waits as poll() does, and then asks without waiting. */
static long select_in_turn(long number, const long arguments[6], long limit_ns)
{
	struct pollfd wanted[MOST];
	size_t count = 0;
	if (limit_ns == BAD_TIME || arguments[0] < 0) return -EINVAL;
	for (int i = 0; i < arguments[0] && i < MOST && i < FD_SETSIZE; i++) {
		short events = 0;
		if (arguments[1] && FD_ISSET(i, (fd_set *)arguments[1])) events |= POLLIN;
		if (arguments[2] && FD_ISSET(i, (fd_set *)arguments[2])) events |= POLLOUT;
		if (arguments[3] && FD_ISSET(i, (fd_set *)arguments[3])) events |= POLLPRI;
		if (events) wanted[count++] = (struct pollfd){ i, events, 0 };
	}
	const long as_poll[6] = { (long)wanted, count };
	long found = poll_in_turn(as_poll, limit_ns);
	if (found < 0) return found;
	const long none[2] = { 0, 0 };
	const long at_once[6] = { arguments[0], arguments[1], arguments[2], arguments[3], (long)none, 0 };
	return __tmebox_syscall(number, at_once);
}

static long timeval_ns(const struct timeval *time)
{
	struct timespec same;
	if (!time) return -1;
	same = (struct timespec){ time->tv_sec, time->tv_usec * 1000 };
	return duration_ns(&same);
}

/* -- which call waits for what ------------------------------------------------------------------------------- */
static long wait_before(long number, const long arguments[6])
{
	switch (number) {
	case SYS_recvfrom:
		return arguments[3] & MSG_DONTWAIT ? 0 : wait_for(arguments[0], POLLIN);
	case SYS_recvmsg:
		return arguments[2] & MSG_DONTWAIT ? 0 : wait_for(arguments[0], POLLIN);
	case SYS_read:
	case SYS_readv:
	case SYS_accept:
	case SYS_accept4:
		return wait_for(arguments[0], POLLIN);
	case SYS_sendto:
		return arguments[3] & MSG_DONTWAIT ? 0 : wait_for(arguments[0], POLLOUT);
	case SYS_sendmsg:
		return arguments[2] & MSG_DONTWAIT ? 0 : wait_for(arguments[0], POLLOUT);
	case SYS_write:
	case SYS_writev:
	case SYS_sendfile:
		return wait_for(arguments[0], POLLOUT);
	}
	return 0;
}

/* As `__tmebox_ask`, but others run between two slices of a wait. */
static long ask_in_turn(long number, const long arguments[6])
{
	for (;;) {
		unsigned long before = __tmebox_interruptions;
		long result = __tmebox_syscall(number, arguments);
		if (result != -EINTR) return result;
		__tmebox_look_at_timers();
		__tmebox_yield();
		if (__tmebox_interruptions != before) return result;
	}
}

HIDDEN long __tmebox_call_in_turn(long number, const long arguments[6])
{
	const struct timespec *limit;
	if ((__tmebox_turn_left -= CALL_WEIGHT) < 0) __tmebox_turn_over();
	switch (number) {
	case SYS_nanosleep:
		return sleep_by(0, 0, (const struct timespec *)arguments[0], (struct timespec *)arguments[1]);
	case SYS_clock_nanosleep:
		return sleep_by(arguments[0], arguments[1], (const struct timespec *)arguments[2],
		                (struct timespec *)arguments[3]);
	}
	if (!__tmebox_contended()) return __tmebox_ask_core_first(number, arguments);
	switch (number) {
	case SYS_poll:
		return poll_in_turn(arguments, (int)arguments[2] < 0 ? -1 : (int)arguments[2] * (long)MILLISECOND_NS);
	case SYS_ppoll:
		limit = (const struct timespec *)arguments[2];
		return poll_in_turn(arguments, limit ? duration_ns(limit) : -1);
	case SYS_select:
		return select_in_turn(number, arguments, timeval_ns((const struct timeval *)arguments[4]));
	case SYS_pselect6:
		limit = (const struct timespec *)arguments[4];
		return select_in_turn(number, arguments, limit ? duration_ns(limit) : -1);
	case SYS_epoll_wait:
	case SYS_epoll_pwait:
		return epoll_in_turn(number, arguments);
	}
	long result = wait_before(number, arguments);
	return result < 0 ? result : ask_in_turn(number, arguments);
}
