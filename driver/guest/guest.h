/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The tests that run inside the virtual machine, as its only program.
 *
 *   init.c       loads the driver, runs groups of tests, asks whether the kernel complained
 *   check.c      checks, touches that may fault, questions to the machine's monitor
 *   device.c     the driver's calls, as the tests make them
 *   disk.c       a program from the machine's disk instead of tests
 *   groups: aliases.c  grants.c  mappings.c  processes.c  edges.c  lives.c  races.c  noise.c  hardware.c  checks.c
 */
#ifndef GUEST_H
#define GUEST_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../tmebox_bits.h"

#define PAGE 4096UL
#define RW (TMEBOX_READ | TMEBOX_WRITE)

struct test {
	const char *name;	/* a sentence */
	void (*run)(void);
	unsigned int seconds;	/* at most */
};

struct group {
	const char *name;
	const struct test *tests;	/* up to one without a name */
};

extern const struct group alias_group, grant_group, mapping_group, process_group, edge_group,
	life_group, race_group, noise_group, cycle_group, hardware_group, machine_check_group;

/* check.c. A failed check ends the test's process. */
void fail(const char *file, int line, const char *format, ...) __attribute__((noreturn, format(printf, 3, 4)));
#define SKIPPED 77	/* exit status of a test that cannot be run here */
#define FAIL(...) fail(__FILE__, __LINE__, __VA_ARGS__)
#define CHECK(condition) ((condition) ? (void)0 : FAIL("not true: %s", #condition))
#define CHECK_EQUAL(got, wanted) \
	do { \
		unsigned long long got_ = (got), wanted_ = (wanted); \
		if (got_ != wanted_) \
			FAIL("%s is %#llx, not %#llx", #got, got_, wanted_); \
	} while (0)
/* The call fails with this error. */
#define CHECK_ERROR(call, error) \
	do { \
		errno = 0; \
		long answer_ = (long)(call); \
		if (answer_ != -1 || errno != (error)) \
			FAIL("%s: %ld, %s; not %s", #call, answer_, strerror(errno), #error); \
	} while (0)

/* A touch gives the signal that it raised, or 0. */
int read_at(const volatile void *address);
int write_at(volatile void *address, uint64_t value);
int call_at(const volatile void *address);
int read_until_signal(const volatile void *address);
extern const char reading_begins[], reading_ends[];	/* its only code that a signal may hit */
extern volatile int signal_code;	/* si_code of the last such signal */
extern void *volatile signal_address;

/* A signal in no touch ends the process after a line that says where. Once, before any touch. */
void expect_faults(void);

/* What the page-table entry of an address of this process is, seen from outside; 0: none. */
uint64_t entry_of(const volatile void *address);
bool has_monitor(void);
void report(const char *format, ...) __attribute__((format(printf, 1, 2)));
void ask(bool sleeping, char *answer, size_t size, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
extern const char *instead_of_command_line;
unsigned long number_for(const char *what, unsigned long otherwise);
bool kernel_complained(void);
void complaints_count_from_now(void);
void stay_on_cpu(int number);

void run_from_disk(void);

/* device.c */
int device(void);
int device_with(uint64_t pages);
struct tmebox_info info_of(int fd);
int create(int fd, uint64_t pages);
unsigned int new_key(int fd);	/* ends the test if there is none */
int key_alloc(int fd, uint32_t *key);
int key_free(int fd, uint32_t key);
int grant(int fd, uint32_t key, uint64_t first, uint64_t count, uint32_t rights);
int revoke_range(int fd, uint32_t key, uint64_t first, uint64_t count, uint32_t rights);
int move(int fd, uint32_t key, uint64_t first, uint64_t count);
int discard(int fd, uint64_t first, uint64_t count);
int give(int fd, uint32_t key, uint64_t first, uint64_t count, uint32_t rights);
int flush(int fd, uint32_t key, uint64_t first, uint64_t count);
void *view(int fd, uint32_t key, uint64_t first, uint64_t count, int protection);
void *alias(int fd, uint32_t key, uint64_t first, uint64_t count);
unsigned int free_keys(void);	/* how many other files could get now */
bool encrypted(int fd);
bool may_use_wrong_keys(int fd);

#endif
