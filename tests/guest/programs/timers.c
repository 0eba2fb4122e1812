/* Signals that come by themselves: alarm(), setitimer(), and waiting for signals. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

static volatile int alarms, answers;
static int ends[2];

static void count(int signal)
{
	(void)signal;
	alarms++;
	if (answers) CHECK(write(ends[1], "x", 1) == 1);
}

static void handle(int flags)
{
	struct sigaction action = { .sa_handler = count, .sa_flags = flags };
	CHECK(sigaction(SIGALRM, &action, NULL) == 0);
}

static void start(long first_us, long next_us)
{
	struct itimerval timer = { { 0, next_us }, { 0, first_us } };
	CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
}

/* Time passes, and nothing is asked for, but not so much that a handler comes by itself. */
static void compute(void)
{
	struct timespec begun, now;
	clock_gettime(CLOCK_MONOTONIC, &begun);
	do clock_gettime(CLOCK_MONOTONIC, &now);
	while ((now.tv_sec - begun.tv_sec) * 1000000000 + now.tv_nsec - begun.tv_nsec < 1500000);
}

/* Whatever asks about signals or timers, or changes them, finds that one has gone off meanwhile. */
static void asked_by_each_call(void)
{
	sigset_t set, old, pending;
	struct itimerval left;
	struct timespec none = { 0, 0 };
	struct sigaction ignored = { .sa_handler = SIG_IGN };
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	for (int blocked = 0; blocked < 2; blocked++) {
		for (int call = 0; call < 7; call++) {
			handle(0);
			if (blocked) CHECK(sigprocmask(SIG_BLOCK, &set, &old) == 0);
			alarms = 0;
			start(1000, 0);
			compute();
			CHECK(alarms <= !blocked); /* 1 on a machine that does something else for a while */
			if (call == 0) CHECK(sigprocmask(SIG_BLOCK, NULL, &pending) == 0);
			else if (call == 1) CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGALRM) == blocked);
			else if (call == 2) CHECK(getitimer(ITIMER_REAL, &left) == 0 && !left.it_value.tv_usec);
			else if (call == 3) CHECK(alarm(0) == 0);
			else if (call == 4) CHECK(kill(getpid(), 0) == 0);
			else if (call == 5) CHECK(sigtimedwait(&set, NULL, &none) == (blocked ? SIGALRM : -1));
			else if (!blocked) CHECK(sigaction(SIGALRM, &ignored, NULL) == 0);
			CHECK(alarms == !blocked);
			if (blocked) {
				CHECK(sigprocmask(SIG_SETMASK, &old, NULL) == 0);
				CHECK(alarms == (call != 5));
			}
		}
	}
}

int main(void)
{
	struct itimerval left;
	char byte;

	handle(0);
	start(30000, 0);
	CHECK(getitimer(ITIMER_REAL, &left) == 0 && left.it_value.tv_usec > 0 && left.it_value.tv_usec <= 30000);
	CHECK(pause() == -1 && errno == EINTR && alarms == 1);

	/* A wait ends, and says so; with SA_RESTART it goes on, unless it is for a time. */
	CHECK(pipe(ends) == 0);
	start(30000, 0);
	CHECK(read(ends[0], &byte, 1) == -1 && errno == EINTR && alarms == 2);
	handle(SA_RESTART);
	answers = 1;
	start(10000, 0);
	CHECK(read(ends[0], &byte, 1) == 1 && byte == 'x' && alarms == 3);
	answers = 0;
	start(10000, 0);
	struct timespec day = { 86400, 5 }, rest = { 0 };
	CHECK(nanosleep(&day, &rest) == -1 && errno == EINTR && alarms == 4);
	CHECK(rest.tv_sec == 86399 && rest.tv_nsec > 0 && rest.tv_nsec < 1000000000);
	start(10000, 0);
	CHECK(clock_nanosleep(CLOCK_MONOTONIC, 0, &day, &rest) == EINTR && alarms == 5 && rest.tv_sec == 86399);
	start(10000, 0);
	CHECK(poll(NULL, 0, 60000) == -1 && errno == EINTR && alarms == 6);

	/* Again and again, while nothing but system calls is done. */
	handle(0);
	start(5000, 5000);
	while (alarms < 11) CHECK(getppid() == 0 && time(NULL) > 0);
	start(0, 0);
	CHECK(getitimer(ITIMER_REAL, &left) == 0 && left.it_value.tv_sec == 0 && left.it_value.tv_usec == 0);

	asked_by_each_call();

	/* Blocked ones wait. */
	sigset_t set, none, pending;
	sigemptyset(&none);
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	alarms = 0;
	start(1000, 0);
	CHECK(usleep(30000) == 0);
	CHECK(alarms == 0 && sigpending(&pending) == 0 && sigismember(&pending, SIGALRM));
	CHECK(sigsuspend(&none) == -1 && errno == EINTR && alarms == 1);
	start(1000, 0);
	siginfo_t info;
	CHECK(sigwaitinfo(&set, &info) == SIGALRM && info.si_signo == SIGALRM && alarms == 1);
	struct timespec soon = { 0, 20000000 };
	CHECK(sigtimedwait(&set, NULL, &soon) == -1 && errno == EAGAIN);
	CHECK(alarm(100) == 0 && alarm(0) == 100);
	CHECK(setitimer(ITIMER_PROF, &left, NULL) == -1 && errno == EINVAL);

	stack_t stack = { .ss_sp = &stack, .ss_size = SIGSTKSZ }, before;
	CHECK(sigaltstack(&stack, &before) == 0 && before.ss_flags == SS_DISABLE);
	CHECK(sigaltstack(NULL, &before) == 0 && before.ss_sp == &stack);

	struct rlimit limit;
	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur == limit.rlim_max);
	limit.rlim_cur = 4;
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0 && dup(0) == -1 && errno == EMFILE);
	limit.rlim_cur = limit.rlim_max;
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0 && dup(0) == 5);
	limit.rlim_max++;
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == -1 && errno == EPERM);
	FINISH();
}
