/* The part of a kernel that lives inside the sandbox: memory, signals, locks, and threads that take turns.
   All functions return what the Linux system call of that name does: a result, or -errno. */
#pragma once

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/time.h>
#include <time.h>

#include "abi.h"

#define HIDDEN __attribute__((__visibility__("hidden")))

/* The only way out: a host call. `arguments` always has six elements. */
long __tmebox_syscall(long number, const long arguments[6]);

/* The time of a clock as the host tells it in registers: less than 0 seconds where it does not. */
struct told_time {
	long seconds, nanoseconds;
};
struct told_time __tmebox_told_time(long number, long clock) __asm__("__tmebox_syscall");

/* Whether the time is known without a system call. */
static inline int __tmebox_clock(long clock, struct timespec *now)
{
	struct told_time told = __tmebox_told_time(TMEBOX_SYS_CLOCK, clock);
	*now = (struct timespec){ told.seconds, told.nanoseconds };
	return told.seconds >= 0;
}

/* A system call that has no sixth argument, or none that counts. `refused`: it is not for the core, which has done
   nothing that the same call with arguments in memory would not go on with. */
struct answered {
	long result, refused;
};
struct answered __tmebox_direct_call(long number, long a, long b, long c, long d, long e) __asm__("__tmebox_syscall");

/* The same, repeated until the host has an answer. */
HIDDEN long __tmebox_ask(long number, const long arguments[6]);

/* The same, where there is a chance that the core answers. */
static inline __attribute__((__always_inline__)) long __tmebox_ask_core_first(long number, const long arguments[6])
{
	struct answered answered = __tmebox_direct_call(TMEBOX_SYS_DIRECT + number, arguments[0], arguments[1], arguments[2],
	                                                arguments[3], arguments[4]);
	if (!answered.refused && answered.result != -EINTR) return answered.result;
	return __tmebox_ask(number, arguments);
}

/* What functions put back when they return, of the thread that runs. An exception of the host's ends calls without that: then
   the core puts back what it was when the call began; of an outermost call, what it is at rest. The loader finds it by
   `mark` (runtime/marks.py). */
struct kept {
	/* Above 0, the thread is in the middle of what others may not see: its turn goes on although its time is over. 0 at
	   rest. Of threads that do not run their stacks know it. */
	volatile unsigned long keeps_turn;
	unsigned long mask;		/* of signals */
	unsigned long mask_at_rest;	/* while none of its handlers runs, and nothing waits with another mask */
	/* The rest is constant: where the core finds what threads have of their own. */
	const void *variables;		/* __tmebox_thread_offset */
	const void *self;		/* __tmebox_self, and how far behind it the cleanup handlers begin: none at rest */
	unsigned long cleanups;
	unsigned long mark;
};
extern HIDDEN struct kept __tmebox_kept;

static inline void __tmebox_keep_turn(void)
{
	__asm__ __volatile__("incq %0" : "+m"(__tmebox_kept.keeps_turn) : : "memory", "cc");
}

static inline void __tmebox_release_turn(void)
{
	__asm__ __volatile__("decq %0" : "+m"(__tmebox_kept.keeps_turn) : : "memory", "cc");
}

/* pages.c: page runs of the heap. With `zero`, pages are zero; else they may hold what the program left there. */
HIDDEN void *__tmebox_pages_get(size_t pages, size_t align, int zero);
HIDDEN void *__tmebox_pages_get_for_stack(size_t pages);

/* The stack pointer stays in [start, end): offsets. */
static inline unsigned long __tmebox_stacks_start(void)
{
	return *(const unsigned long *)TMEBOX_CONTROL_RSP_LAST - *(const unsigned long *)TMEBOX_CONTROL_RSP_MASK;
}

static inline unsigned long __tmebox_stacks_end(void)
{
	return __tmebox_stacks_start() ? TMEBOX_SHARED_END : TMEBOX_PRIVATE_END;
}

HIDDEN int __tmebox_pages_range(unsigned long *start, unsigned long *end);
HIDDEN int __tmebox_pages_extend(unsigned long start, size_t pages, int zero);
HIDDEN int __tmebox_pages_inside(unsigned long start, size_t pages);
HIDDEN int __tmebox_pages_any_used(unsigned long start, size_t pages);
HIDDEN void __tmebox_pages_claim(unsigned long start, size_t pages, int zero);
HIDDEN void __tmebox_pages_put(unsigned long start, size_t pages);
HIDDEN void __tmebox_pages_zero(unsigned long start, size_t pages);
HIDDEN void __tmebox_memory_exhausted(size_t size_bytes);

/* mapping.c */
HIDDEN long __tmebox_mmap(unsigned long start, size_t length, int protection, int flags, int fd, long offset);
HIDDEN long __tmebox_munmap(unsigned long start, size_t length);
HIDDEN long __tmebox_mremap(unsigned long start, size_t old_length, size_t new_length, int flags, unsigned long to);
HIDDEN long __tmebox_madvise(unsigned long start, size_t length, int advice);
HIDDEN long __tmebox_mprotect(unsigned long start, size_t length, int protection);

/* signals.c */
HIDDEN long __tmebox_sigaction(int signal, const void *action, void *old, size_t set_size);
HIDDEN long __tmebox_sigprocmask(int how, const unsigned long *set, unsigned long *old, size_t set_size);
HIDDEN long __tmebox_sigpending(unsigned long *set, size_t set_size);
HIDDEN long __tmebox_raise(int signal);
HIDDEN void __tmebox_send(int signal);
HIDDEN int __tmebox_has_signals(void); /* that the thread that runs would take */
HIDDEN long __tmebox_sigsuspend(const unsigned long *mask, size_t set_size);
HIDDEN long __tmebox_sigtimedwait(const unsigned long *set, siginfo_t *info, const struct timespec *limit,
                                  size_t set_size);
HIDDEN long __tmebox_sigaltstack(const stack_t *wanted, stack_t *old);
HIDDEN long __tmebox_raise_in(int tid, int signal);
HIDDEN void __tmebox_take_signals(void);
HIDDEN void __tmebox_broken_pipe(void); /* this thread has written to what nobody reads any more */
extern HIDDEN unsigned long __tmebox_handled, __tmebox_interruptions;

/* timers.c */
HIDDEN long __tmebox_getitimer(int which, struct itimerval *result);
HIDDEN long __tmebox_setitimer(int which, const struct itimerval *wanted, struct itimerval *old);
HIDDEN long __tmebox_alarm(unsigned seconds);
HIDDEN void __tmebox_look_at_timers(void);
HIDDEN void __tmebox_look_at_timers_late(void);
HIDDEN long __tmebox_timer_late_in_ns(void);
extern HIDDEN long __tmebox_timer_due_ns; /* when it goes off, in ns of CLOCK_MONOTONIC; 0: no timer runs */

/* futex.c */
HIDDEN long __tmebox_futex(volatile int *word, int operation, int value, long second, volatile int *other);
