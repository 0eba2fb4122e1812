/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * A program in Python instead of tests, with the driver loaded: /extra/program
 * of the first file system, which the disk's file system gets to see.
 */
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "guest.h"

static const char *const moved[] = { "/dev", "/proc", "/sys", "/extra" };

/* The disk's driver finds it a moment after it was loaded. */
static bool mount_disk(void)
{
	struct timespec moment = { 0, 10 * 1000 * 1000 };

	mkdir("/disk", 0755);
	for (int i = 0; i < 1000; i++) {
		if (!mount("/dev/vda", "/disk", "ext4", MS_NOATIME, NULL))
			return true;
		nanosleep(&moment, NULL);
	}
	return false;
}

void run_from_disk(void)
{
	char path[64];
	pid_t child;
	int status;

	if (!mount_disk()) {
		report("not ok disk the disk is there # %s", strerror(errno));
		return;
	}
	for (size_t i = 0; i < sizeof(moved) / sizeof(*moved); i++) {
		snprintf(path, sizeof(path), "/disk%s", moved[i]);
		mount(moved[i], path, NULL, MS_BIND, NULL);
	}
	mount("tmp", "/disk/tmp", "tmpfs", 0, NULL);
	child = fork();
	if (child == 0) {
		if (chroot("/disk") || chdir("/"))
			_exit(126);
		setenv("HOME", "/tmp", 1);
		setenv("PATH", "/usr/bin:/bin", 1);
		execl("/extra/program", "/extra/program", NULL);
		report("# /extra/program: %s", strerror(errno));
		_exit(127);
	}
	while (waitpid(child, &status, 0) != child)
		;
	report("%s disk the program ends well # status %#x", status ? "not ok" : "ok", status);
}
