/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What a process sees of a machine check on its page. The monitor injects it. */
#include <pthread.h>
#include <signal.h>

#include "guest.h"

static volatile uint64_t *spun_on;
static volatile int seen;

static void *spin(void *unused)
{
	(void)unused;
	stay_on_cpu(0);
	seen = read_until_signal(spun_on);
	return NULL;
}

/*
 * Signature of an uncorrected, recoverable data load. The address is one
 * with KeyID bits, which the kernel knows no page for: so the signal is a
 * SIGBUS from the kernel with no address, and not the BUS_MCEERR_AR of
 * ordinary memory.
 */
static void a_machine_check_is_a_bus_error_without_an_address(void)
{
	int fd = device_with(1);
	uint32_t key = new_key(fd);
	char answer[64];
	pthread_t thread;
	int other;

	if (access("/sys/devices/system/machinecheck/machinecheck0", F_OK)) {
		report("# this kernel has no handler for machine checks: one would end it");
		_exit(SKIPPED);
	}
	/* The monitor tells one CPU only; the kernel would wait for the others. */
	other = open("/sys/devices/system/cpu/cpu1/online", O_WRONLY);
	CHECK(other >= 0 && write(other, "0", 1) == 1);
	CHECK(!grant(fd, key, 0, 1, RW));
	spun_on = view(fd, key, 0, 1, PROT_READ | PROT_WRITE);
	*spun_on = 1;
	signal_address = (void *)-1;
	/*
	 * Both threads on CPU 0: one waits for the answer, the other is hit. The
	 * monitor is told where that one reads, for the one that asks runs, too,
	 * before it waits.
	 */
	CHECK(!pthread_create(&thread, NULL, spin, NULL));
	ask(true, answer, sizeof(answer), "check %lx %lx %lx", (unsigned long)spun_on,
	    (unsigned long)reading_begins, (unsigned long)reading_ends);
	CHECK(!strcmp(answer, "done"));
	for (unsigned int i = 0; i < 200 && !seen; i++)
		usleep(50 * 1000);
	CHECK_EQUAL(seen, SIGBUS);
	report("count machine check: signal %d, code %d, address %p", seen, signal_code, signal_address);
	CHECK_EQUAL(signal_code, SI_KERNEL);
	CHECK(signal_address == NULL);
	/* The host goes on. */
	CHECK_EQUAL(write_at(alias(fd, 0, 0, 1), 1), 0);
}

static const struct test tests[] = {
	{ "a machine check is a bus error without an address",
	  a_machine_check_is_a_bus_error_without_an_address, 0 },
	{},
};

const struct group machine_check_group = { "checks", tests };
