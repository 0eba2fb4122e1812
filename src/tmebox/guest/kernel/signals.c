/* Signals that a program sends to itself, or one of its threads to another: nobody else can send one.

   A handler runs as an ordinary call, when the signal is raised or, if it was blocked then, when it is unblocked. One for
   a thread that computes runs on a stack that handlers.c lends.
   A signal whose default is to end the process is passed to the host, which does not return. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>

#include "ksigaction.h"
#include "start.h"
#include "tasks.h"

enum { SIGNALS = 64, EXIT_UNREAD = 128 + SIGPIPE };

static struct k_sigaction actions[SIGNALS + 1];
static unsigned long pending;

/* Handlers that ran, and those that want system calls to end. */
HIDDEN unsigned long __tmebox_handled, __tmebox_interruptions;

__attribute__((__weak__)) HIDDEN long __tmebox_call_in_turn(long number, const long arguments[6]);

static unsigned long bit(int signal)
{
	return 1UL << (signal - 1);
}

#define UNBLOCKABLE (1UL << (SIGKILL - 1) | 1UL << (SIGSTOP - 1))
#define IGNORED_BY_DEFAULT \
	(1UL << (SIGCHLD - 1) | 1UL << (SIGURG - 1) | 1UL << (SIGWINCH - 1) | 1UL << (SIGCONT - 1))

static unsigned long mask_of(const struct k_sigaction *action)
{
	unsigned long mask;
	memcpy(&mask, action->mask, sizeof mask);
	return mask;
}

static void run_handler(int signal, struct k_sigaction action)
{
	unsigned long before = __tmebox_kept.mask, at_rest = __tmebox_kept.mask_at_rest;
	__tmebox_handled++;
	if (!(action.flags & SA_RESTART)) __tmebox_interruptions++;
	__tmebox_kept.mask |= mask_of(&action) & ~UNBLOCKABLE;
	if (!(action.flags & SA_NODEFER)) __tmebox_kept.mask |= bit(signal);
	if (action.flags & SA_RESETHAND) actions[signal].handler = SIG_DFL;
	unsigned long kept = __tmebox_kept.keeps_turn;
	__tmebox_kept.keeps_turn = 0; /* it is the program's, and may not come back */
	if (action.flags & SA_SIGINFO) {
		siginfo_t info = { .si_signo = signal, .si_code = signal == SIGALRM ? SI_KERNEL : SI_TKILL, .si_pid = 1 };
		ucontext_t context = { 0 };
		((void (*)(int, siginfo_t *, void *))action.handler)(signal, &info, &context);
	} else {
		action.handler(signal);
	}
	__tmebox_kept.keeps_turn = kept;
	__tmebox_kept.mask = before;
	__tmebox_kept.mask_at_rest = at_rest;
}

static void deliver(int signal)
{
	struct k_sigaction action = actions[signal];
	if (action.handler == SIG_IGN) return;
	if (action.handler != SIG_DFL) {
		run_handler(signal, action);
	} else if (signal == SIGPIPE && __tmebox_is_command) {
		/* A quiet end, with the code that a shell reports: it is how `yes | head` ends. */
		const long arguments[6] = { EXIT_UNREAD };
		__tmebox_syscall(SYS_exit_group, arguments);
	} else if (!(bit(signal) & IGNORED_BY_DEFAULT)) {
		const long arguments[6] = { 1, signal };
		__tmebox_syscall(SYS_tkill, arguments);
		__builtin_trap();
	}
}

static void take(int signal)
{
	pending &= ~bit(signal);
	__tmebox_task->signals &= ~bit(signal);
}

static void deliver_pending(void)
{
	for (unsigned long ready; (ready = (pending | __tmebox_task->signals) & ~__tmebox_kept.mask);) {
		int signal = __builtin_ctzl(ready) + 1;
		take(signal);
		deliver(signal);
	}
}

HIDDEN int __tmebox_has_signals(void)
{
	return ((pending | __tmebox_task->signals) & ~__tmebox_kept.mask) != 0;
}

/* What was sent to this thread, or to all, while another ran. */
HIDDEN void __tmebox_take_signals(void)
{
	if (__tmebox_has_signals()) deliver_pending();
}

/* Whoever next looks takes it. */
HIDDEN void __tmebox_send(int signal)
{
	pending |= bit(signal);
}

HIDDEN long __tmebox_raise(int signal)
{
	if (signal < 0 || signal > SIGNALS) return -EINVAL;
	if (signal == 0) return 0;
	pending |= bit(signal);
	deliver_pending();
	return 0;
}

/* Functions that a host calls find SIGPIPE as their host has it: ignored. */
HIDDEN void __tmebox_broken_pipe(void)
{
	if (!__tmebox_is_command && actions[SIGPIPE].handler == SIG_DFL) return;
	__tmebox_task->signals |= bit(SIGPIPE);
	deliver_pending();
}

__attribute__((__weak__)) HIDDEN struct task *__tmebox_find_task(int tid);
__attribute__((__weak__)) HIDDEN void __tmebox_wake(struct task *task, long result);

/* To one thread, which takes it when its turn comes. */
HIDDEN long __tmebox_raise_in(int tid, int signal)
{
	if (tid == __tmebox_task->tid) return __tmebox_raise(signal);
	struct task *task = __tmebox_others ? __tmebox_find_task(tid) : NULL;
	if (!task) return -ESRCH;
	if (signal < 0 || signal > SIGNALS) return -EINVAL;
	if (signal == 0) return 0;
	task->signals |= bit(signal);
	if (task->signals & ~task->blocked) __tmebox_wake(task, -EINTR);
	return 0;
}

HIDDEN long __tmebox_sigaction(int signal, const void *action, void *old, size_t set_size)
{
	if (signal < 1 || signal > SIGNALS || set_size != sizeof(long)) return -EINVAL;
	if (action && bit(signal) & UNBLOCKABLE) return -EINVAL;
	if (old) memcpy(old, &actions[signal], sizeof actions[signal]);
	if (action) memcpy(&actions[signal], action, sizeof actions[signal]);
	return 0;
}

static unsigned long changed(unsigned long mask, int how, unsigned long set)
{
	mask = how == SIG_BLOCK ? mask | set : how == SIG_UNBLOCK ? mask & ~set : set;
	return mask & ~UNBLOCKABLE;
}

HIDDEN long __tmebox_sigprocmask(int how, const unsigned long *set, unsigned long *old, size_t set_size)
{
	if (set_size != sizeof(long)) return -EINVAL;
	unsigned long before = __tmebox_kept.mask;
	if (set) {
		if (how != SIG_BLOCK && how != SIG_UNBLOCK && how != SIG_SETMASK) return -EINVAL;
		__tmebox_kept.mask_at_rest = changed(__tmebox_kept.mask_at_rest, how, *set);
		__tmebox_kept.mask = changed(__tmebox_kept.mask, how, *set);
	}
	if (old) *old = before;
	deliver_pending();
	return 0;
}

HIDDEN long __tmebox_sigpending(unsigned long *set, size_t set_size)
{
	if (set_size != sizeof(long)) return -EINVAL;
	*set = (pending | __tmebox_task->signals) & __tmebox_kept.mask;
	return 0;
}

/* One slice of waiting for nothing but a signal. -EINTR: another thread says that it is over. */
static long wait_a_slice(long limit_ns)
{
	long result = 0;
	enum { SLICE_NS = 10000000 };
	struct timespec time = { 0, limit_ns < SLICE_NS ? limit_ns : SLICE_NS };
	const long arguments[6] = { (long)&time };
	if (__tmebox_others) result = __tmebox_call_in_turn(SYS_nanosleep, arguments);
	else while (__tmebox_syscall(SYS_nanosleep, arguments) == -EINTR) {}
	__tmebox_look_at_timers();
	return result;
}

/* pause() and sigsuspend(): until a handler has run. */
HIDDEN long __tmebox_sigsuspend(const unsigned long *mask, size_t set_size)
{
	if (set_size != sizeof(long)) return -EINVAL;
	unsigned long before = __tmebox_kept.mask, count = __tmebox_handled;
	if (mask) __tmebox_kept.mask = *mask & ~UNBLOCKABLE;
	deliver_pending();
	while (__tmebox_handled == count && wait_a_slice(1L << 40) != -EINTR) {}
	__tmebox_kept.mask = before;
	deliver_pending();
	return -EINTR;
}

/* sigwait() and its relatives: takes a signal that is blocked. */
HIDDEN long __tmebox_sigtimedwait(const unsigned long *set, siginfo_t *info, const struct timespec *limit, size_t set_size)
{
	if (set_size != sizeof(long)) return -EINVAL;
	if (limit && (limit->tv_sec < 0 || limit->tv_nsec < 0 || limit->tv_nsec >= 1000000000)) return -EINVAL;
	struct timespec now;
	const long clock[6] = { CLOCK_MONOTONIC, (long)&now };
	long end_ns = 1L << 62, count = __tmebox_handled;
	if (limit && limit->tv_sec < 1L << 32) {
		__tmebox_syscall(SYS_clock_gettime, clock);
		end_ns = (now.tv_sec + limit->tv_sec) * 1000000000 + now.tv_nsec + limit->tv_nsec;
	}
	for (;;) {
		unsigned long there = (pending | __tmebox_task->signals) & *set;
		if (there) {
			int signal = __builtin_ctzl(there) + 1;
			take(signal);
			if (info) *info = (siginfo_t){ .si_signo = signal, .si_code = SI_TKILL, .si_pid = 1 };
			return signal;
		}
		if (__tmebox_handled != (unsigned long)count) return -EINTR;
		__tmebox_syscall(SYS_clock_gettime, clock);
		long left_ns = end_ns - (now.tv_sec * 1000000000 + now.tv_nsec);
		if (left_ns <= 0) return -EAGAIN;
		if (wait_a_slice(left_ns) == -EINTR && !((pending | __tmebox_task->signals) & *set)) return -EINTR;
	}
}

/* Handlers run on the program's stack: another one is remembered, and not used. */
HIDDEN long __tmebox_sigaltstack(const stack_t *new, stack_t *old)
{
	static stack_t given = { .ss_flags = SS_DISABLE };
	if (old) *old = given;
	if (!new) return 0;
	if (new->ss_flags & ~SS_DISABLE) return -EINVAL;
	if (!(new->ss_flags & SS_DISABLE) && new->ss_size < MINSIGSTKSZ) return -ENOMEM;
	given = *new;
	return 0;
}
