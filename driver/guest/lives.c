/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Keys, files and memory come back, in whatever order they are left. */
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "guest.h"

static void a_closed_file_lives_as_long_as_its_views(void)
{
	unsigned int keys = free_keys();
	int fd = device_with(4);
	uint32_t key = new_key(fd);
	volatile uint64_t *own = view(fd, key, 0, 4, PROT_READ | PROT_WRITE);

	CHECK(!give(fd, key, 0, 2, RW));
	own[0] = 1;
	close(fd);
	CHECK_EQUAL(own[0], 1);
	CHECK_EQUAL(write_at(own + PAGE / 8, 2), 0);
	CHECK_EQUAL(read_at(own + 2 * PAGE / 8), SIGBUS);
	CHECK_EQUAL(free_keys(), keys - 1);
	CHECK(!munmap((void *)own, 4 * PAGE));
	CHECK_EQUAL(free_keys(), keys);
}

static void a_killed_process_leaves_nothing(void)
{
	unsigned int keys = free_keys();

	for (int round = 0; round < 4; round++) {
		pid_t child;
		int ready[2], status;
		char byte;

		CHECK(!pipe(ready));
		fflush(stdout);
		child = fork();
		if (child == 0) {
			int fd = device_with(64);
			uint32_t key = new_key(fd);
			volatile uint64_t *own = view(fd, key, 0, 64, PROT_READ | PROT_WRITE);

			if (give(fd, key, 0, 64, RW) || write(ready[1], "", 1) != 1)
				_exit(1);
			for (unsigned int i = 0;; i++)
				own[i % 64 * PAGE / 8] = i;
		}
		close(ready[1]);
		CHECK(read(ready[0], &byte, 1) == 1);
		kill(child, SIGKILL);
		CHECK(waitpid(child, &status, 0) == child);
		CHECK(WIFSIGNALED(status));
		CHECK_EQUAL(free_keys(), keys);
	}
}

static void keys_run_out_and_come_back(void)
{
	int a = device_with(4), b = device_with(4);
	unsigned int keys = info_of(a).keys, got = 0;
	uint32_t key, last = 0;

	while (!key_alloc(a, &key)) {
		got++;
		last = key;
	}
	CHECK(errno == ENOSPC);
	CHECK_EQUAL(got, keys);
	CHECK_ERROR(key_alloc(b, &key), ENOSPC);
	CHECK(!key_free(a, last));
	CHECK(!key_alloc(b, &key));
	CHECK_EQUAL(key, last);
	close(a);
	for (got = 1; !key_alloc(b, &key);)
		got++;
	CHECK_EQUAL(got, keys);
}

/* A key that was given back rests for as long as possible. */
static void keys_are_given_in_turn(void)
{
	int fd = device_with(1);
	unsigned int keys = info_of(fd).keys;
	uint32_t first = new_key(fd), key;

	for (unsigned int i = 1; i < keys; i++) {
		CHECK(!key_free(fd, first));
		key = new_key(fd);
		CHECK_EQUAL(key, first % keys + 1);
		first = key;
	}
}

/* What another process wrote is in no page that one gets. */
static void memory_of_others_is_not_seen(void)
{
	for (int round = 0; round < 16; round++) {
		int fd = device_with(128);
		uint32_t key = new_key(fd);
		volatile uint64_t *host = alias(fd, 0, 0, 128), *other = alias(fd, key, 0, 128);

		for (size_t i = 0; i < 128 * PAGE / 8; i += 64)
			CHECK_EQUAL(host[i], 0);
		CHECK(!move(fd, key, 0, 128));
		for (size_t i = 0; i < 128 * PAGE / 8; i += 64)
			other[i] = 0x5ec4e75ec4e75ec4ULL + i;
		munmap((void *)host, 128 * PAGE);
		munmap((void *)other, 128 * PAGE);
		close(fd);
	}
	/* Nor in what the kernel gives to others. */
	for (int round = 0; round < 16; round++) {
		volatile uint64_t *plain = mmap(NULL, 256 * PAGE, PROT_READ | PROT_WRITE,
						MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		for (size_t i = 0; i < 256 * PAGE / 8; i += 64) {
			CHECK(plain[i] == 0);
			plain[i] = 1;
		}
		munmap((void *)plain, 256 * PAGE);
	}
}

static void views_of_one_key_may_be_many(void)
{
	int fd = device_with(16);
	uint32_t key = new_key(fd);
	volatile uint64_t *views[64];

	CHECK(!give(fd, key, 0, 16, RW));
	for (int i = 0; i < 64; i++) {
		views[i] = view(fd, key, i % 8, 8, PROT_READ | PROT_WRITE);
		CHECK_EQUAL(write_at(views[i], i), 0);
	}
	CHECK(!revoke_range(fd, key, 4, 1, RW));
	for (int i = 0; i < 64; i++)
		for (int page = 0; page < 8; page++)
			CHECK_EQUAL(read_at(views[i] + page * PAGE / 8), i % 8 + page == 4 ? SIGBUS : 0);
}

/* What the kernel says to being sent to sleep like that: 0 or an errno. */
static int sleep_as(const char *state)
{
	int fd = open("/sys/power/state", O_WRONLY | O_CLOEXEC);
	int error = fd < 0 || write(fd, state, strlen(state)) < 0 ? errno : 0;

	close(fd);
	return error;
}

static void need_a_machine_that_may_sleep(void)
{
	if (!has_monitor()) {
		report("# this machine would go to sleep");
		_exit(SKIPPED);
	}
}

static void no_machine_sleeps_while_keys_are_in_use(void)
{
	static const char *const states[] = { "freeze", "disk" };
	uint32_t key;
	int fd;

	need_a_machine_that_may_sleep();
	fd = device_with(1);
	key = new_key(fd);
	for (int i = 0; i < 2; i++)
		CHECK_EQUAL(sleep_as(states[i]), EBUSY);
	new_key(fd);	/* it is awake */
	CHECK(!key_free(fd, key));
	CHECK_EQUAL(sleep_as(states[0]), EBUSY);
}

/* With nowhere to write the image to, the machine is soon back. */
static void no_key_is_given_on_the_way_to_sleep(void)
{
	volatile unsigned int *refused = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t child;
	int error = EBUSY, sleeps = 0;

	need_a_machine_that_may_sleep();
	child = fork();
	if (child == 0) {
		int fd = device_with(1);
		uint32_t key;

		for (;;) {
			if (!key_alloc(fd, &key))
				key_free(fd, key);
			else if (errno == EBUSY)
				++*refused;
			usleep(1000);
		}
	}
	for (int i = 0; i < 100 && sleeps < 5 && !*refused; i++) {
		error = sleep_as("disk");
		sleeps += error != EBUSY;	/* else it has a key just now */
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	report("count sleep: %s, %u keys refused meanwhile", strerror(error), *refused);
	CHECK(sleeps > 0 && (error == ENOSPC || error == ENODEV));
	CHECK(*refused > 0);
	new_key(device_with(1));
}

static const struct test tests[] = {
	{ "a closed file lives as long as its views", a_closed_file_lives_as_long_as_its_views, 0 },
	{ "a killed process leaves nothing", a_killed_process_leaves_nothing, 0 },
	{ "keys run out and come back", keys_run_out_and_come_back, 0 },
	{ "keys are given in turn", keys_are_given_in_turn, 0 },
	{ "memory of others is not seen", memory_of_others_is_not_seen, 0 },
	{ "views of one key may be many", views_of_one_key_may_be_many, 0 },
	{ "no machine sleeps while keys are in use", no_machine_sleeps_while_keys_are_in_use, 0 },
	{ "no key is given on the way to sleep", no_key_is_given_on_the_way_to_sleep, 0 },
	{},
};

const struct group life_group = { "lives", tests };

#define WARM_UP 500

/*
 * In the virtual machine nothing else runs, and what the kernel has put by
 * can be thrown away. On a real machine it is left alone, and other programs
 * take and give memory all the time.
 */
static long free_kib(void)
{
	static const char *const kinds[] = { "MemFree:", "Cached:", "Buffers:" };
	struct timespec moment = { 0, 300 * 1000 * 1000 };
	char line[128];
	long sum = 0, kib;
	FILE *file;

	nanosleep(&moment, NULL);	/* what is freed late */
	if (has_monitor()) {
		file = fopen("/proc/sys/vm/drop_caches", "w");
		CHECK(file && fputs("3", file) >= 0 && !fclose(file));
		nanosleep(&moment, NULL);
	}
	file = fopen("/proc/meminfo", "r");
	CHECK(file);
	while (fgets(line, sizeof(line), file))
		for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
			if (!strncmp(line, kinds[i], strlen(kinds[i])) && sscanf(line, "%*s %ld", &kib) == 1)
				sum += kib;
	fclose(file);
	return sum;
}

static void one_life(unsigned int number)
{
	int fd = device_with(16);
	uint32_t key = new_key(fd);
	volatile uint64_t *own = view(fd, key, 0, 16, PROT_READ | PROT_WRITE);

	CHECK(!give(fd, key, number % 8, 8, RW | TMEBOX_OWNER));
	own[number % 8 * PAGE / 8] = number;
	own[(number % 8 + 7) * PAGE / 8] = number;
	if (number % 3 == 0)
		CHECK(!revoke_range(fd, key, 0, 16, RW));
	if (number % 5 == 0)
		CHECK(!key_free(fd, key));
	if (number % 2)
		close(fd);
	CHECK(!munmap((void *)own, 16 * PAGE));
	if (number % 2 == 0)
		close(fd);
}

static void lives_leave_the_memory_as_it_was(void)
{
	unsigned long cycles = number_for("cycles", 10000);
	/* A tenth of a KiB for each would be one forgotten allocation, 4 KiB one forgotten page. */
	long most = has_monitor() ? cycles / 10 : cycles * 4, lost = 0;
	unsigned int keys, rounds = has_monitor() ? 1 : 3;

	if (most < 500)
		most = 500;
	for (unsigned int i = 0; i < WARM_UP; i++)
		one_life(i);
	keys = free_keys();
	/* What is lost is lost in every round; what another program took, hardly. */
	for (unsigned int round = 0; round < rounds; round++) {
		long before = free_kib();

		for (unsigned long i = 0; i < cycles; i++)
			one_life(i);
		lost = before - free_kib();
		report("count lives: %lu, memory less by %ld KiB", cycles, lost);
		if (lost < most)
			break;
	}
	CHECK_EQUAL(free_keys(), keys);
	CHECK(lost < most);
}

static const struct test cycle_tests[] = {
	{ "lives leave the memory as it was", lives_leave_the_memory_as_it_was, 300 },
	{},
};

const struct group cycle_group = { "cycles", cycle_tests };
