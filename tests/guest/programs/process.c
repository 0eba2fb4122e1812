/* What a process can do to itself: jumps, signals, locks, a thread that does nothing, the stack's place. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/auxv.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

static jmp_buf here;
static sigjmp_buf with_mask;
static volatile sig_atomic_t seen, info_signal;
static _Thread_local int thread_local_value = 41;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int initialised, key_destroyed;

static void handle(int signal)
{
	seen = signal;
}

static void handle_info(int signal, siginfo_t *info, void *context)
{
	info_signal = context && info->si_signo == signal ? signal : -1;
}

static void jump_out(int signal)
{
	siglongjmp(with_mask, signal);
}

static void initialise(void)
{
	initialised++;
}

static void destroy(void *value)
{
	key_destroyed += value != NULL;
}

static void *thread(void *argument)
{
	return argument;
}

static __attribute__((noinline)) void jump_deep(int depth)
{
	volatile char pad[100];
	pad[0] = (char)depth;
	if (depth) jump_deep(depth - 1);
	longjmp(here, 0); /* arrives as 1 */
}

static void jumps(void)
{
	volatile int count = 0;
	double kept = count + 0.5;
	int arrived = setjmp(here);
	if (arrived == 0) {
		count = 1;
		jump_deep(50);
	}
	CHECK(arrived == 1 && count == 1 && kept == 0.5);
	arrived = setjmp(here);
	if (arrived < 5) longjmp(here, arrived + 1);
	CHECK(arrived == 5);
}

static void signals(void)
{
	sigset_t set, old;
	CHECK(signal(SIGUSR1, handle) == SIG_DFL);
	CHECK(raise(SIGUSR1) == 0 && seen == SIGUSR1);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	seen = 0;
	sigprocmask(SIG_BLOCK, &set, NULL);
	kill(getpid(), SIGUSR1);
	CHECK(seen == 0 && sigpending(&old) == 0 && sigismember(&old, SIGUSR1));
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	CHECK(seen == SIGUSR1);
	struct sigaction action = { .sa_sigaction = handle_info, .sa_flags = SA_SIGINFO | SA_RESETHAND };
	CHECK(sigaction(SIGUSR2, &action, NULL) == 0 && raise(SIGUSR2) == 0 && info_signal == SIGUSR2);
	CHECK(sigaction(SIGUSR2, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
	signal(SIGTERM, SIG_IGN);
	raise(SIGTERM);
	raise(SIGCHLD);
	CHECK(signal(SIGKILL, handle) == SIG_ERR && errno == EINVAL);
	signal(SIGALRM, jump_out);
	int arrived = sigsetjmp(with_mask, 1);
	if (arrived == 0) raise(SIGALRM);
	sigprocmask(SIG_SETMASK, NULL, &old);
	CHECK(arrived == SIGALRM && !sigismember(&old, SIGALRM));
	CHECK(kill(12345, SIGTERM) == -1 && errno == ESRCH);
}

static void threads(void)
{
	pthread_t other;
	CHECK(pthread_create(&other, NULL, thread, NULL) == 0 && pthread_join(other, NULL) == 0);
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER, recursive;
	CHECK(pthread_mutex_lock(&mutex) == 0 && pthread_mutex_trylock(&mutex) == EBUSY);
	struct timespec soon;
	clock_gettime(CLOCK_REALTIME, &soon);
	soon.tv_nsec += 30000000;
	soon.tv_sec += soon.tv_nsec / 1000000000, soon.tv_nsec %= 1000000000;
	CHECK(pthread_mutex_timedlock(&mutex, &soon) == ETIMEDOUT);
	CHECK(pthread_mutex_unlock(&mutex) == 0);
	pthread_mutexattr_t attributes;
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&recursive, &attributes);
	CHECK(!pthread_mutex_lock(&recursive) && !pthread_mutex_lock(&recursive) && !pthread_mutex_unlock(&recursive));
	pthread_once(&once, initialise);
	pthread_once(&once, initialise);
	CHECK(initialised == 1);
	pthread_key_t key;
	CHECK(!pthread_key_create(&key, destroy) && !pthread_setspecific(key, &key) && pthread_getspecific(key) == &key);
	CHECK(!pthread_key_delete(key));
	sem_t semaphore;
	sem_init(&semaphore, 0, 1);
	CHECK(sem_wait(&semaphore) == 0 && sem_trywait(&semaphore) == -1 && errno == EAGAIN);
	pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
	CHECK(!pthread_rwlock_rdlock(&lock) && pthread_rwlock_trywrlock(&lock) == EBUSY && !pthread_rwlock_unlock(&lock));
	CHECK(++thread_local_value == 42 && pthread_equal(pthread_self(), pthread_self()));
	pthread_attr_t where;
	void *low;
	size_t size;
	CHECK(!pthread_getattr_np(pthread_self(), &where) && !pthread_attr_getstack(&where, &low, &size));
	CHECK((char *)&low > (char *)low && (char *)&low < (char *)low + size && size >= 1 << 20);
}

static void processes(void)
{
	CHECK(getpid() == 1 && fork() == -1 && errno == ENOSYS);
	CHECK(system("true") != 0 && execl("/bin/true", "true", (char *)NULL) == -1);
	CHECK(sched_yield() == 0 && sysconf(_SC_NPROCESSORS_ONLN) == 1 && sysconf(_SC_PAGESIZE) == 4096);
	CHECK(getauxval(AT_PAGESZ) == 4096);
}

int main(void)
{
	jumps();
	signals();
	threads();
	processes();
	FINISH();
}
