/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The machine's first and only program: loads the driver, runs the groups of
 * tests that the kernel's command line names (tests=a,b), and switches off.
 * It prints one line for each test: `ok GROUP NAME`, `not ok GROUP NAME` or
 * `skip GROUP NAME`, reasons before it, after `#`.
 *
 * With mutants=1 it loads each driver of /mutants in turn instead, and runs
 * for /mutants/NAME.ko the groups that the file NAME.tests lists. With
 * disk=1 it runs the program that is on the disk.
 *
 * On a machine in use, where the driver is loaded and this is no first program,
 * its first argument is the list of groups, and the others are what they take
 * (noise=5). There must be no other user of the device.
 */
#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>

#include "guest.h"

static const struct group *const groups[] = { &alias_group, &grant_group, &mapping_group, &process_group,
	&edge_group, &life_group, &race_group, &noise_group, &cycle_group, &hardware_group,
	&machine_check_group };

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

/* 0 or an errno. */
static int load_with(const char *path, unsigned long bits, unsigned long shift)
{
	bool ours = !strstr(path, "virtio");
	char parameters[128];
	int fd = open(path, O_RDONLY | O_CLOEXEC), error;

	parameters[0] = 0;
	if (bits && ours)
		snprintf(parameters, sizeof(parameters), "simulate_bits=%lu simulate_shift=%lu", bits, shift);
	error = fd < 0 || syscall(SYS_finit_module, fd, parameters, 0) ? errno : 0;
	close(fd);
	return error;
}

static bool load(const char *path)
{
	int error = load_with(path, number_for("bits", 0), number_for("shift", 36));

	if (error)
		report("# %s: %s", path, strerror(error));
	return !error;
}

/* The second half of this machine's memory would be in views of key 1. */
static void refuse_memory_at_keys(const char *path)
{
	int error = load_with(path, number_for("bits", 0), 28);

	if (!error)
		syscall(SYS_delete_module, "tmebox", O_NONBLOCK);
	report("%s start no key has the addresses of memory", error == EINVAL ? "ok" : "not ok");
}

/* devtmpfs makes the node a moment after the module is there. */
static void wait_for_device(void)
{
	struct timespec moment = { 0, 10 * 1000 * 1000 };

	for (int i = 0; i < 300 && access("/dev/tmebox", F_OK); i++)
		nanosleep(&moment, NULL);
}

/* In a process of its own, with everything that it forked. Its exit status, or 1. */
static int run_apart(const struct test *test)
{
	struct timespec moment = { 0, 5 * 1000 * 1000 };
	double end = now() + (test->seconds ? test->seconds : 60);
	pid_t child;
	int status;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		setpgid(0, 0);
		expect_faults();
		test->run();
		fflush(stdout);
		_exit(0);
	}
	while (waitpid(child, &status, WNOHANG) == 0) {
		if (now() > end) {
			report("# %s: not finished in time", test->name);
			kill(-child, SIGKILL);
			kill(child, SIGKILL);
			waitpid(child, &status, 0);
			break;
		}
		nanosleep(&moment, NULL);
	}
	kill(-child, SIGKILL);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	if (WIFSIGNALED(status))
		report("# %s: ended by signal %d", test->name, WTERMSIG(status));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static void all_keys_are_free(void)
{
	unsigned int keys = info_of(device()).keys, found = free_keys();

	if (found != keys)
		FAIL("of %u keys %u are in use", keys, keys - found);
}

static bool named(const char *list, const char *name)
{
	size_t length = strlen(name);

	for (const char *at = list; (at = strstr(at, name)); at += length)
		if ((at == list || at[-1] == ',') && (at[length] == ',' || at[length] <= ' '))
			return true;
	return false;
}

static int run_groups(const char *list, const char *label)
{
	int failed = 0;

	for (size_t i = 0; i < sizeof(groups) / sizeof(*groups); i++) {
		if (!named(list, groups[i]->name))
			continue;
		for (const struct test *test = groups[i]->tests; test->name; test++) {
			double start = now();
			int status = run_apart(test);
			const char *word = status == 0 ? "ok" : status == SKIPPED ? "skip" : "not ok";

			failed += status != 0 && status != SKIPPED;
			report("%s %s%s %s (%.1f s)", word, label, groups[i]->name, test->name, now() - start);
		}
	}
	return failed;
}

static void run_mutants(void)
{
	DIR *folder = opendir("/mutants");
	struct dirent *entry;

	while (folder && (entry = readdir(folder))) {
		char path[512], list[256] = "", label[300];
		char *dot = strstr(entry->d_name, ".ko");
		FILE *file;

		if (!dot)
			continue;
		snprintf(path, sizeof(path), "/mutants/%s", entry->d_name);
		if (!load(path))
			continue;
		wait_for_device();
		*dot = 0;
		snprintf(path, sizeof(path), "/mutants/%s.tests", entry->d_name);
		file = fopen(path, "r");
		if (!file || !fgets(list, sizeof(list), file))
			report("# %s: no tests", path);
		if (file)
			fclose(file);
		snprintf(label, sizeof(label), "%s:", entry->d_name);
		report("mutant %s %s", entry->d_name, run_groups(list, label) ? "caught" : "not caught");
		if (syscall(SYS_delete_module, entry->d_name, O_NONBLOCK))
			report("# %s: cannot be unloaded: %s", entry->d_name, strerror(errno));
	}
}

static void run_tests(void)
{
	static char line[4096];
	FILE *file = fopen("/proc/cmdline", "r");
	char *list;

	if (!file || !fgets(line, sizeof(line), file) || !(list = strstr(line, " tests="))) {
		report("not ok start no tests were named");
		return;
	}
	fclose(file);
	list += strlen(" tests=");
	refuse_memory_at_keys("/tmebox.ko");
	if (!load("/tmebox.ko")) {
		report("not ok start the driver was not loaded");
		return;
	}
	wait_for_device();
	run_groups(list, "");
	if (syscall(SYS_delete_module, "tmebox", O_NONBLOCK))
		report("not ok end the driver can be unloaded # %s", strerror(errno));
	else
		report("ok end the driver can be unloaded");
	report("%s end the kernel has nothing to complain about", kernel_complained() ? "not ok" : "ok");
}

/* A program from the disk, with the driver loaded. */
static void run_disk(void)
{
	if (!load("/virtio_blk.ko") || !load("/tmebox.ko")) {
		report("not ok start the drivers were loaded");
		return;
	}
	wait_for_device();
	run_from_disk();
	report("%s end the kernel has nothing to complain about", kernel_complained() ? "not ok" : "ok");
}

/* The tests take all of the keys: another program's sandboxes could not be made meanwhile. */
static bool device_is_ours_alone(void)
{
	struct test check = { .name = "no other program uses the device", .run = all_keys_are_free };
	bool alone = run_apart(&check) == 0;

	report("%s start %s", alone ? "ok" : "not ok", check.name);
	return alone;
}

static int run_here(char **arguments)
{
	static char joined[512];
	int failed;

	for (int i = 2; arguments[i]; i++) {
		strncat(joined, " ", sizeof(joined) - strlen(joined) - 1);
		strncat(joined, arguments[i], sizeof(joined) - strlen(joined) - 1);
	}
	instead_of_command_line = joined;
	if (!device_is_ours_alone())
		return 1;
	complaints_count_from_now();
	failed = run_groups(arguments[1], "");
	report("%s end the kernel has nothing to complain about", kernel_complained() ? "not ok" : "ok");
	return failed != 0;
}

int main(int count, char **arguments)
{
	if (getpid() != 1)
		return count < 2 ? 2 : run_here(arguments);
	mkdir("/dev", 0755);
	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	mkdir("/tmp", 01777);
	mount("dev", "/dev", "devtmpfs", 0, NULL);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sys", "/sys", "sysfs", 0, NULL);
	mount("tmp", "/tmp", "tmpfs", 0, NULL);
	for (int fd = 0; fd < 3; fd++)
		close(fd);
	open("/dev/ttyS1", O_RDWR);
	dup(0);
	dup(0);
	report("started");
	if (number_for("mutants", 0))
		run_mutants();
	else if (number_for("disk", 0))
		run_disk();
	else
		run_tests();
	report("finished");
	tcdrain(1);
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}
