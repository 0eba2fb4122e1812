/* What musl's system calls become. Calls about the process itself are answered here, without leaving the sandbox;
   everything else is the host's business, which answers -ENOSYS to what it does not know. */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/syscall.h>

#include "kernel.h"

enum { OUR_PROCESS = 1 };

/* kill(0) and kill(-1) mean "my process group" and "everyone": that is this process. */
static long signal_process(long process, int signal)
{
	return process == OUR_PROCESS || process == 0 || process == -1 ? __tmebox_raise(signal) : -ESRCH;
}

HIDDEN long __tmebox_kernel(long number, long a, long b, long c, long d, long e, long f)
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
	case SYS_gettid:
	case SYS_set_tid_address:
		return OUR_PROCESS;
	case SYS_getppid:
	case SYS_sched_yield:
	case SYS_set_robust_list:
	case SYS_membarrier:
		return 0;

	case SYS_futex:
		return __tmebox_futex((volatile int *)a, b, c, (const void *)d);
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
	case SYS_tkill:
		return signal_process(a, b);
	case SYS_tgkill:
		return signal_process(b, c);
	}
	__tmebox_look_at_timers();
	const long arguments[6] = { a, b, c, d, e, f };
	return __tmebox_ask(number, arguments);
}
