/* POSIX and C11 threads in turn. */
#define _GNU_SOURCE
#include <errno.h>
#include <fenv.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

enum { MANY = 8 };

static __thread int mine = 7, zero;
static _Thread_local alignas(64) char wide[64] = "wide";
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static int go, sum;

/* -- variables, errno, results --------------------------------------------------------------------------------- */
static pthread_key_t key;
static int destroyed;

static void destroy(void *value)
{
	destroyed += *(int *)value;
}

static void *variables(void *argument)
{
	int number = *(int *)argument;
	CHECK(mine == 7 && zero == 0 && strcmp(wide, "wide") == 0);
	CHECK((uintptr_t)wide % 64 == 0);
	mine += number;
	zero = errno = number;
	wide[0] = (char)number;
	pthread_setspecific(key, argument);
	pthread_mutex_lock(&mutex);
	while (!go) pthread_cond_wait(&condition, &mutex);
	sum += mine + zero;
	pthread_mutex_unlock(&mutex);
	for (int i = 0; i < 5; i++) sched_yield();
	CHECK(mine == 7 + number && zero == number && errno == number && wide[0] == number);
	CHECK(pthread_getspecific(key) == argument);
	return argument;
}

static void check_variables(void)
{
	pthread_t threads[MANY];
	int numbers[MANY], expected = 0;
	CHECK(pthread_key_create(&key, destroy) == 0);
	mine = 100;
	for (int i = 0; i < MANY; i++) {
		numbers[i] = i + 1;
		expected += 7 + 2 * numbers[i];
		CHECK(pthread_create(&threads[i], NULL, variables, &numbers[i]) == 0);
	}
	sched_yield();
	CHECK(sum == 0);
	pthread_mutex_lock(&mutex);
	go = 1;
	pthread_cond_broadcast(&condition);
	pthread_mutex_unlock(&mutex);
	for (int i = 0; i < MANY; i++) {
		void *result = NULL;
		CHECK(pthread_join(threads[i], &result) == 0 && result == &numbers[i]);
	}
	CHECK(sum == expected && mine == 100 && zero == 0 && destroyed == MANY * (MANY + 1) / 2);
	pthread_key_delete(key);
}

/* -- a thread that never calls gives its turn at locks --------------------------------------------------------- */
static volatile int stop;
static long rounds;

static void *busy(void *argument)
{
	while (!stop) {
		pthread_mutex_lock(&mutex);
		rounds++;
		pthread_mutex_unlock(&mutex);
	}
	return argument;
}

static void check_slices(void)
{
	pthread_t threads[2];
	for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, busy, NULL);
	struct timespec time = { 0, 30000000 };
	nanosleep(&time, NULL);
	stop = 1;
	for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
	CHECK(rounds > 0);
}

/* -- semaphores, barriers, rwlocks, once, spin locks ----------------------------------------------------------- */
static sem_t semaphore;
static pthread_barrier_t barrier;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_spinlock_t spin;
static int onces, serial, readers, most_readers;

static void at_once(void)
{
	onces++;
	sched_yield();
}

static void *others(void *argument)
{
	pthread_once(&once, at_once);
	if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD) serial++;
	pthread_rwlock_rdlock(&rwlock);
	if (++readers > most_readers) most_readers = readers;
	sched_yield();
	readers--;
	pthread_rwlock_unlock(&rwlock);
	pthread_rwlock_wrlock(&rwlock);
	CHECK(readers == 0);
	int before = readers;
	sched_yield();
	CHECK(readers == before);
	pthread_rwlock_unlock(&rwlock);
	pthread_spin_lock(&spin);
	pthread_spin_unlock(&spin);
	sem_post(&semaphore);
	return argument;
}

static void check_others(void)
{
	pthread_attr_t attributes;
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, 64 << 10);
	sem_init(&semaphore, 0, 0);
	pthread_spin_init(&spin, 0);
	pthread_barrier_init(&barrier, NULL, MANY);
	pthread_t thread;
	for (int i = 0; i < MANY; i++) CHECK(pthread_create(&thread, &attributes, others, NULL) == 0);
	for (int i = 0; i < MANY; i++) CHECK(sem_wait(&semaphore) == 0);
	CHECK(onces == 1 && serial == 1 && most_readers > 1);
	struct timespec soon;
	clock_gettime(CLOCK_REALTIME, &soon);
	soon.tv_nsec = soon.tv_nsec < 900000000 ? soon.tv_nsec + 5000000 : soon.tv_nsec;
	CHECK(sem_timedwait(&semaphore, &soon) == -1 && errno == ETIMEDOUT);
	CHECK(pthread_mutex_trylock(&mutex) == 0);
	CHECK(pthread_mutex_timedlock(&mutex, &soon) == ETIMEDOUT);
	pthread_mutex_unlock(&mutex);
}

/* -- waiting for descriptors ----------------------------------------------------------------------------------- */
static int ends[4][2];

static void *reads(void *argument)
{
	char byte = 0;
	CHECK(read(ends[0][0], &byte, 1) == 1 && byte == 'r');
	return argument;
}

static void *polls(void *argument)
{
	struct pollfd wanted = { ends[1][0], POLLIN, 0 };
	CHECK(poll(&wanted, 1, -1) == 1 && wanted.revents == POLLIN);
	return argument;
}

static void *selects(void *argument)
{
	fd_set set;
	FD_ZERO(&set);
	FD_SET(ends[2][0], &set);
	CHECK(select(ends[2][0] + 1, &set, NULL, NULL, NULL) == 1 && FD_ISSET(ends[2][0], &set));
	return argument;
}

static void *waits_for_events(void *argument)
{
	int epoll = epoll_create1(0);
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = 5 }, found = { 0 };
	CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[3][0], &event) == 0);
	CHECK(epoll_wait(epoll, &found, 1, -1) == 1 && found.data.u32 == 5);
	close(epoll);
	return argument;
}

static void check_descriptors(void)
{
	void *(*const waits[])(void *) = { reads, polls, selects, waits_for_events };
	pthread_t threads[4];
	for (int i = 0; i < 4; i++) {
		CHECK(pipe(ends[i]) == 0);
		pthread_create(&threads[i], NULL, waits[i], NULL);
	}
	for (int i = 0; i < 4; i++) sched_yield();
	struct pollfd nothing = { ends[0][0], POLLIN, 0 };
	CHECK(poll(&nothing, 1, 5) == 0);
	for (int i = 3; i >= 0; i--) {
		usleep(1000);
		CHECK(write(ends[i][1], "r", 1) == 1);
		CHECK(pthread_join(threads[i], NULL) == 0);
	}
	for (int i = 0; i < 4; i++) close(ends[i][0]), close(ends[i][1]);
}

/* -- cancellation, signals, names, the floating-point environment --------------------------------------------- */
static int cleaned, handled_by;

static void clean(void *argument)
{
	cleaned += *(int *)argument;
}

static void *cancelled(void *argument)
{
	int one = 1;
	pthread_cleanup_push(clean, &one);
	for (;;) pause();
	pthread_cleanup_pop(0);
	return argument;
}

static void *cancelled_waiting(void *argument)
{
	int ten = 10;
	pthread_mutex_lock(&mutex);
	pthread_cleanup_push(clean, &ten);
	for (;;) pthread_cond_wait(&condition, &mutex);
	pthread_cleanup_pop(0);
	return argument;
}

static void handler(int signal)
{
	handled_by = gettid();
	(void)signal;
}

static void *signalled(void *argument)
{
	*(int *)argument = gettid();
	CHECK(pause() == -1 && errno == EINTR);
	return argument;
}

static void *rounds_up(void *argument)
{
	CHECK(fegetround() == FE_TONEAREST);
	fesetround(FE_UPWARD);
	sched_yield();
	CHECK(fegetround() == FE_UPWARD);
	pthread_setname_np(pthread_self(), "up");
	char name[16] = "";
	CHECK(pthread_getname_np(pthread_self(), name, sizeof name) == 0 && strcmp(name, "up") == 0);
	return argument;
}

static void check_the_rest(void)
{
	pthread_t thread;
	void *result = NULL;
	pthread_create(&thread, NULL, cancelled, NULL);
	sched_yield();
	CHECK(pthread_cancel(thread) == 0);
	CHECK(pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED && cleaned == 1);
	pthread_create(&thread, NULL, cancelled_waiting, NULL);
	sched_yield();
	CHECK(pthread_cancel(thread) == 0);
	CHECK(pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED && cleaned == 11);
	CHECK(pthread_mutex_trylock(&mutex) == EBUSY); /* it was cancelled with the mutex */
	pthread_mutex_unlock(&mutex);

	int tid = 0;
	signal(SIGUSR1, handler);
	pthread_create(&thread, NULL, signalled, &tid);
	sched_yield();
	CHECK(pthread_kill(thread, SIGUSR1) == 0);
	CHECK(pthread_join(thread, NULL) == 0 && handled_by == tid && tid != gettid());

	pthread_create(&thread, NULL, rounds_up, NULL);
	sched_yield();
	CHECK(fegetround() == FE_TONEAREST);
	CHECK(pthread_join(thread, NULL) == 0);

	pthread_attr_t attributes;
	pthread_getattr_np(pthread_self(), &attributes);
	void *low;
	size_t size;
	pthread_attr_getstack(&attributes, &low, &size);
	CHECK((char *)&attributes > (char *)low && (char *)&attributes < (char *)low + size);
}

/* -- C11 ------------------------------------------------------------------------------------------------------- */
static mtx_t c11_mutex;
static cnd_t c11_condition;
static once_flag c11_once = ONCE_FLAG_INIT;
static int c11_ready;

static int c11(void *argument)
{
	call_once(&c11_once, at_once);
	mtx_lock(&c11_mutex);
	while (!c11_ready) cnd_wait(&c11_condition, &c11_mutex);
	mtx_unlock(&c11_mutex);
	thrd_yield();
	return *(int *)argument;
}

static void check_c11(void)
{
	thrd_t threads[3];
	int numbers[3] = { 1, 20, 300 }, total = 0;
	CHECK(mtx_init(&c11_mutex, mtx_plain) == thrd_success && cnd_init(&c11_condition) == thrd_success);
	for (int i = 0; i < 3; i++) CHECK(thrd_create(&threads[i], c11, &numbers[i]) == thrd_success);
	thrd_sleep(&(struct timespec){ 0, 1000000 }, NULL);
	mtx_lock(&c11_mutex);
	c11_ready = 1;
	cnd_broadcast(&c11_condition);
	mtx_unlock(&c11_mutex);
	for (int i = 0, result = 0; i < 3; i++) {
		CHECK(thrd_join(threads[i], &result) == thrd_success);
		total += result;
	}
	CHECK(total == 321);
}

/* -- how many -------------------------------------------------------------------------------------------------- */
static void *nothing(void *argument)
{
	return argument;
}

static sem_t all_are_there;
static void *waits_for_all(void *argument)
{
	while (sem_wait(&all_are_there)) {}
	return argument;
}

static void check_many(void)
{
	pthread_attr_t attributes;
	sem_init(&all_are_there, 0, 0);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 16 << 10);
	for (int i = 0; i < 2000; i++) { /* one after the other: stacks are given back */
		pthread_t thread;
		CHECK(pthread_create(&thread, NULL, nothing, NULL) == 0 && pthread_join(thread, NULL) == 0);
	}
	static pthread_t threads[1100];
	int count = 0, error;
	while (count < 1100 && (error = pthread_create(&threads[count], &attributes, waits_for_all, NULL)) == 0) count++;
	CHECK(error == EAGAIN && count == 1023);
	for (int i = 0; i < count; i++) sem_post(&all_are_there);
	while (count) CHECK(pthread_join(threads[--count], NULL) == 0);
}

int main(void)
{
	check_variables();
	check_slices();
	check_others();
	check_descriptors();
	check_the_rest();
	check_c11();
	check_many();
	return failed_checks;
}
