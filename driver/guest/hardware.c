/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * What also holds where memory is encrypted. No test but the last reads a
 * line with another key than the one it was written with.
 */
#include <signal.h>
#include <sys/wait.h>

#include "guest.h"

#define PAGES 32
#define WORDS (PAGES * PAGE / 8)

static uint64_t word(uint64_t i, uint64_t salt)
{
	return (i + 1) * 0x9e3779b97f4a7c15ULL ^ salt;
}

static void fill(volatile uint64_t *at, uint64_t salt)
{
	for (uint64_t i = 0; i < WORDS; i++)
		at[i] = word(i, salt);
}

static uint64_t wrong_in(const volatile uint64_t *at, uint64_t salt)
{
	uint64_t wrong = 0;

	for (uint64_t i = 0; i < WORDS; i++)
		wrong += at[i] != word(i, salt);
	return wrong;
}

/* From memory, and not from a cache. */
static void what_a_key_wrote_it_reads_again(void)
{
	int fd = device_with(PAGES);
	volatile uint64_t *host = view(fd, 0, 0, PAGES, PROT_READ | PROT_WRITE);
	unsigned int keys = info_of(fd).keys;

	for (unsigned int i = 0; i < keys; i++) {
		uint32_t key = new_key(fd);
		volatile uint64_t *own = view(fd, key, 0, PAGES, PROT_READ | PROT_WRITE);

		CHECK(!move(fd, key, 0, PAGES) && !grant(fd, key, 0, PAGES, RW));
		fill(own, key);
		CHECK(!flush(fd, key, 0, PAGES));
		CHECK_EQUAL(wrong_in(own, key), 0);
		CHECK_EQUAL(wrong_in(host, key), 0);	/* its entries carry the same key */
		CHECK(!key_free(fd, key));
		CHECK_EQUAL(host[WORDS - 1], 0);
	}
}

static void bytes_go_from_key_to_key(void)
{
	int fd = device_with(PAGES);
	uint32_t a = new_key(fd), b = new_key(fd), owners[] = { a, b, 0, b, a, 0 };
	volatile uint64_t *host = view(fd, 0, 0, PAGES, PROT_READ | PROT_WRITE);

	fill(host, 1);
	for (size_t i = 0; i < sizeof(owners) / sizeof(*owners); i++) {
		CHECK(!move(fd, owners[i], 0, PAGES));
		CHECK(!flush(fd, owners[i], 0, PAGES));
		CHECK_EQUAL(wrong_in(host, 1), 0);
	}
}

static void ended_pages_are_zeros(void)
{
	int fd = device_with(PAGES);
	uint32_t key = new_key(fd);
	volatile uint64_t *host = view(fd, 0, 0, PAGES, PROT_READ | PROT_WRITE);

	CHECK(!move(fd, key, 0, PAGES));
	fill(host, 2);
	CHECK(!discard(fd, 0, PAGES / 2));
	CHECK(!key_free(fd, key));
	for (uint64_t i = 0; i < WORDS; i++)
		CHECK_EQUAL(host[i], 0);
}

static void revoked_views_are_gone(void)
{
	int fd = device_with(PAGES);
	uint32_t key = new_key(fd);
	volatile uint64_t *own = view(fd, key, 0, PAGES, PROT_READ | PROT_WRITE);

	CHECK(!move(fd, key, 0, PAGES) && !grant(fd, key, 0, PAGES, RW));
	fill(own, 3);
	CHECK(!revoke_range(fd, key, 0, PAGES, TMEBOX_WRITE));
	CHECK_EQUAL(wrong_in(own, 3), 0);
	CHECK_EQUAL(write_at(own, 1), SIGBUS);
	CHECK(!revoke_range(fd, key, 0, PAGES, RW));
	CHECK_EQUAL(read_at(own), SIGBUS);
}

/* A kernel that does not survive it ends the machine: only where it was asked for. */
static void a_wrong_key_stops_the_thread(void)
{
	int fd = device_with(1);
	uint32_t a = new_key(fd), b = new_key(fd);
	volatile uint64_t *own = view(fd, a, 0, 1, PROT_READ | PROT_WRITE), *foreign = alias(fd, b, 0, 1);

	if (!encrypted(fd)) {
		report("# nothing is encrypted here");
		_exit(SKIPPED);
	}
	if (!may_use_wrong_keys(fd)) {
		report("# many kernels do not survive a read with a wrong key: --wrong-key");
		_exit(SKIPPED);
	}
	CHECK(info_of(fd).flags & TMEBOX_INTEGRITY);
	CHECK(!move(fd, a, 0, 1) && !grant(fd, a, 0, 1, RW));
	own[0] = 7;
	CHECK(!flush(fd, a, 0, 1));
	CHECK_EQUAL(read_at(foreign), SIGBUS);
	report("count wrong key: signal code %d, address %p", signal_code, signal_address);
	CHECK_EQUAL(own[0], 7);
}

static const struct test tests[] = {
	{ "what a key wrote it reads again", what_a_key_wrote_it_reads_again, 120 },
	{ "bytes go from key to key", bytes_go_from_key_to_key, 0 },
	{ "ended pages are zeros", ended_pages_are_zeros, 0 },
	{ "revoked views are gone", revoked_views_are_gone, 0 },
	{ "a wrong key stops the thread", a_wrong_key_stops_the_thread, 0 },
	{},
};

const struct group hardware_group = { "hardware", tests };
