/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Random calls from several threads and processes, for noise= seconds. What
 * must hold afterwards: no complaint of the kernel, every key free, and a
 * heap that works.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "guest.h"

#define FILES 3
#define VIEWS 12
#define PAGES 40

static __thread uint64_t state;
static int fds[FILES];
static char *area;	/* of VIEWS places for PAGES each; nothing else is ever mapped there */
static volatile unsigned long calls;
static bool touching;	/* and owners that pages did not go to: both make accesses with wrong keys */

static uint64_t next(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* A number that is likely to matter. */
static uint64_t number(void)
{
	switch (next() % 8) {
	case 0:
		return 1ULL << next() % 64;
	case 1:
		return ~0ULL >> next() % 64;
	case 2:
		return 0 - next() % 64;
	case 3:
		return next();
	default:
		return next() % (PAGES + 4);
	}
}

static void call(int fd)
{
	static const unsigned long known[] = { TMEBOX_IOC_INFO, TMEBOX_IOC_CREATE, TMEBOX_IOC_KEY_ALLOC,
		TMEBOX_IOC_KEY_FREE, TMEBOX_IOC_GRANT, TMEBOX_IOC_GRANT, TMEBOX_IOC_GRANT,
		TMEBOX_IOC_REVOKE, TMEBOX_IOC_REVOKE, TMEBOX_IOC_FLUSH, TMEBOX_IOC_MOVE,
		TMEBOX_IOC_DISCARD };
	struct tmebox_range range = {
		.key = next() % 4 ? next() % 6 : number(),
		.rights = (next() % 4 ? next() % 16 : next() % 2 ? 0 : number()) & ~(touching ? 0 : TMEBOX_OWNER),
		.first = number(),
		.count = number(),
	};
	unsigned char bytes[256];
	unsigned long which = known[next() % (sizeof(known) / sizeof(*known))];

	if (next() % 64 == 0)
		which = _IOC(next() % 4, TMEBOX_IOC, next() % 16, next() % 256);
	if (which == TMEBOX_IOC_CREATE)
		range = (struct tmebox_range){ .key = next() % PAGES, .rights = next() % 16 ? 0 : next() };
	memset(bytes, 0, sizeof(bytes));
	memcpy(bytes, &range, sizeof(range));
	if (next() % 32)
		ioctl(fd, which, bytes);
	else
		ioctl(fd, which, number());
}

static void map_something(char *at, int fd)
{
	uint64_t offset = (next() % 2 ? TMEBOX_ALIAS : 0) | TMEBOX_OFFSET(next() % 5, next() % 4 * PAGE);
	unsigned int pages = next() % 2 ? PAGES - 4 : 1 + next() % PAGES;
	int protection = next() % 4 ? PROT_READ | PROT_WRITE : next() % 8;

	if (next() % 8 == 0)
		offset = number() << 12;
	mmap(at, pages * PAGE, protection, MAP_FIXED | (next() % 16 ? MAP_SHARED : next() % 4), fd, offset);
}

static void disturb(char *at)
{
	char *page = at + next() % PAGES * PAGE;

	switch (next() % 8) {
	case 0:
		mprotect(at, PAGES * PAGE, next() % 8);
		break;
	case 1:
		mprotect(page, (1 + next() % 3) * PAGE, next() % 8);
		break;
	case 2:
		if (next() % 8 == 0)
			munmap(page, PAGE);
		else if (next() % 4 == 0)
			munmap(at, PAGES * PAGE);
		break;
	case 3:
		/* Never with MAYMOVE: an anonymous mapping would go where we do not find it. */
		mremap(at, next() % PAGES * PAGE, next() % PAGES * PAGE, 0);
		break;
	case 4:
		madvise(page, PAGE, next() % 26);
		break;
	case 5:
		mlock(page, PAGE);
		munlock(page, PAGE);
		break;
	default:
		if (!touching)
			break;
		if (next() % 2)
			write_at(page + next() % 4089, next());
		else
			read_at(page + next() % 4089);
	}
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

static void *make_noise(void *argument)
{
	double end = *(double *)argument;

	state = ((uint64_t)&state >> 4) * 0x9e3779b97f4a7c15ULL + number_for("seed", 1);
	while (now() < end) {
		for (int i = 0; i < 64; i++) {
			int file = next() % FILES;
			char *at = area + next() % VIEWS * PAGES * PAGE;

			calls++;
			if (next() % 64 == 0) {
				int old = fds[file];

				fds[file] = open("/dev/tmebox", O_RDWR | O_CLOEXEC);
				if (next() % 4)
					create(fds[file], 1 + next() % PAGES);
				close(old);
			} else if (next() % 4 == 0) {
				map_something(at, fds[file]);
			} else if (next() % 2) {
				disturb(at);
			} else {
				call(fds[file]);
			}
		}
	}
	return NULL;
}

static void fork_all_the_time(double end)
{
	while (now() < end) {
		pid_t child = fork();

		if (child == 0) {
			state = getpid() * 0x9e3779b97f4a7c15ULL;
			for (int i = 0; i < 200; i++) {
				call(fds[next() % FILES]);
				disturb(area + i % VIEWS * PAGES * PAGE);
			}
			_exit(0);
		}
		if (child > 0)
			waitpid(child, NULL, 0);
	}
}

static void random_calls_do_no_harm(void)
{
	double end = now() + number_for("noise", 60);
	unsigned int keys;
	pthread_t threads[3];
	pid_t child;
	int status;

	area = mmap(NULL, (VIEWS + 1) * PAGES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(area != MAP_FAILED);
	touching = may_use_wrong_keys(device_with(1));
	keys = free_keys();
	fflush(stdout);
	child = fork();
	if (child == 0) {
		for (int i = 0; i < FILES; i++)
			fds[i] = device_with(PAGES);
		for (int i = 0; i < 3; i++)
			if (pthread_create(&threads[i], NULL, make_noise, &end))
				_exit(2);
		fork_all_the_time(end);
		for (int i = 0; i < 3; i++)
			pthread_join(threads[i], NULL);
		report("count random calls: %lu", calls);
		_exit(calls < 1000);
	}
	CHECK(waitpid(child, &status, 0) == child);
	CHECK_EQUAL(status, 0);
	CHECK_EQUAL(free_keys(), keys);
	CHECK(!kernel_complained());
	CHECK_EQUAL(write_at(alias(device_with(4), 0, 0, 4), 1), 0);
}

static const struct test tests[] = {
	{ "random calls do no harm", random_calls_do_no_harm, 300 },
	{},
};

const struct group noise_group = { "noise", tests };
