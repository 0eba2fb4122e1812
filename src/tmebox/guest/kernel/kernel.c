/* What musl's system calls become. Calls about the process itself are answered here, without leaving the sandbox;
   everything else is the host's business, which answers -ENOSYS to what it does not know. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "tasks.h"

enum { OUR_PROCESS = 1 };

/* Of programs with threads. */
__attribute__((__weak__)) HIDDEN long __tmebox_call_in_turn(long number, const long arguments[6]);
__attribute__((__weak__)) HIDDEN void __tmebox_yield(void);
__attribute__((__weak__)) HIDDEN _Noreturn void __tmebox_end_task(void);

/* kill(0) and kill(-1) mean "my process group" and "everyone": that is this process. */
static long signal_process(long process, int signal)
{
	return process == OUR_PROCESS || process == 0 || process == -1 ? __tmebox_raise(signal) : -ESRCH;
}

/* The last thread's end is the process's. */
static long end_thread(long status)
{
	if (__tmebox_others) __tmebox_end_task();
	const long arguments[6] = { status };
	return __tmebox_syscall(SYS_exit_group, arguments);
}

static long name_thread(long option, char *name)
{
	if (option == PR_SET_NAME) strlcpy(__tmebox_task->name, name, THREAD_NAME);
	else if (option == PR_GET_NAME) memcpy(name, __tmebox_task->name, THREAD_NAME);
	else return -EINVAL;
	return 0;
}

static long yield(void)
{
	if (__tmebox_others) __tmebox_yield();
	return 0;
}

/* Calls that programs make often, and that the core may answer. */
static inline int is_for_core(long number)
{
	switch (number) {
	case SYS_read:
	case SYS_write:
	case SYS_open:
	case SYS_close:
	case SYS_fstat:
	case SYS_lseek:
	case SYS_pread64:
	case SYS_pwrite64:
	case SYS_readv:
	case SYS_writev:
	case SYS_sendfile:
	case SYS_sendto:
	case SYS_recvfrom:
	case SYS_setsockopt:
	case SYS_epoll_wait:
	case SYS_epoll_ctl:
	case SYS_openat:
	case SYS_epoll_pwait:
	case SYS_accept4:
		return 1;
	}
	return 0;
}

/* No timer runs, and it is nobody else's turn. */
static inline int is_undisturbed(void)
{
	if (__tmebox_timer_due_ns) return 0;
	return !__tmebox_others || ((__tmebox_turn_left -= CALL_WEIGHT) >= 0 && !__tmebox_contended());
}

static long answer(long number, long a, long b, long c, long d, long e, long f);

/* Nothing in it is made for threads that are interrupted. */
static __attribute__((__noinline__)) long answer_in_one_turn(long number, long a, long b, long c, long d, long e, long f)
{
	__tmebox_keep_turn();
	long result = answer(number, a, b, c, d, e, f);
	__tmebox_release_turn();
	return result;
}

/* Of a call that ended with EPIPE: whether that comes with SIGPIPE. */
static int signals_broken_pipe(long number, long c, long d)
{
	switch (number) {
	case SYS_write:
	case SYS_writev:
	case SYS_sendfile:
		return 1;
	case SYS_sendto:
		return !(d & MSG_NOSIGNAL);
	case SYS_sendmsg:
		return !(c & MSG_NOSIGNAL);
	}
	return 0;
}

static __attribute__((__noinline__)) long broken_pipe(long number, long c, long d)
{
	__tmebox_keep_turn();
	if (signals_broken_pipe(number, c, d)) __tmebox_broken_pipe();
	__tmebox_release_turn();
	return -EPIPE;
}

HIDDEN long __tmebox_kernel(long number, long a, long b, long c, long d, long e, long f)
{
	long result;
	if (is_for_core(number) && is_undisturbed()) {
		const long arguments[6] = { a, b, c, d, e, f };
		result = __tmebox_ask_core_first(number, arguments);
	} else {
		result = answer_in_one_turn(number, a, b, c, d, e, f);
	}
	return __builtin_expect(result == -EPIPE, 0) ? broken_pipe(number, c, d) : result;
}

static long answer(long number, long a, long b, long c, long d, long e, long f)
{
	switch (number) {
	case SYS_mmap:
		return __tmebox_mmap(a, b, c, d, e, f);
	case SYS_munmap:
		return __tmebox_munmap(a, b);
	case SYS_mremap:
		return __tmebox_mremap(a, b, c, d, e);
	case SYS_madvise:
		return __tmebox_madvise(a, b, c);
	case SYS_mprotect:
		return __tmebox_mprotect(a, b, c);
	case SYS_brk:
		return 0; /* "the break is where it was": callers fall back to mmap */

	case SYS_getpid:
		return OUR_PROCESS;
	case SYS_gettid:
	case SYS_set_tid_address:
		return __tmebox_task->tid;
	case SYS_exit:
		return end_thread(a);
	case SYS_prctl:
		return name_thread(a, (char *)b);
	case SYS_sched_yield:
		return yield();
	case SYS_getppid:
	case SYS_set_robust_list:
	case SYS_membarrier:
		return 0;
	case SYS_futex:
		return __tmebox_futex((volatile int *)a, b, c, d, (volatile int *)e);
	}
	/* Whoever asks about signals or timers finds what has happened until now. */
	__tmebox_look_at_timers();
	switch (number) {
	case SYS_rt_sigaction:
		return __tmebox_sigaction(a, (const void *)b, (void *)c, d);
	case SYS_rt_sigprocmask:
		return __tmebox_sigprocmask(a, (const unsigned long *)b, (unsigned long *)c, d);
	case SYS_rt_sigpending:
		return __tmebox_sigpending((unsigned long *)a, b);
	case SYS_rt_sigsuspend:
		return __tmebox_sigsuspend((const unsigned long *)a, b);
	case SYS_pause:
		return __tmebox_sigsuspend(NULL, sizeof(long));
	case SYS_rt_sigtimedwait:
		return __tmebox_sigtimedwait((const unsigned long *)a, (siginfo_t *)b, (const struct timespec *)c, d);
	case SYS_sigaltstack:
		return __tmebox_sigaltstack((const stack_t *)a, (stack_t *)b);
	case SYS_alarm:
		return __tmebox_alarm(a);
	case SYS_setitimer:
		return __tmebox_setitimer(a, (const struct itimerval *)b, (struct itimerval *)c);
	case SYS_getitimer:
		return __tmebox_getitimer(a, (struct itimerval *)b);
	case SYS_kill:
		return signal_process(a, b);
	case SYS_tkill:
		return __tmebox_raise_in(a, b);
	case SYS_tgkill:
		return __tmebox_raise_in(b, c);
	}
	const long arguments[6] = { a, b, c, d, e, f };
	return __tmebox_others ? __tmebox_call_in_turn(number, arguments) : __tmebox_ask(number, arguments);
}
