/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What a view may do is what was granted, whatever happened before. */
#include <signal.h>

#include "guest.h"

static void nothing_is_there_before_a_grant(void)
{
	int fd = device_with(4);
	volatile uint64_t *own = view(fd, new_key(fd), 0, 4, PROT_READ | PROT_WRITE);

	for (int page = 0; page < 4; page++) {
		CHECK_EQUAL(read_at(own + page * PAGE / 8), SIGBUS);
		CHECK_EQUAL(write_at(own + page * PAGE / 8, 1), SIGBUS);
		CHECK(signal_address == (void *)(own + page * PAGE / 8));
	}
}

static void grants_reach_just_their_pages(void)
{
	int fd = device_with(8);
	uint32_t key = new_key(fd), other = new_key(fd);
	volatile uint64_t *own = view(fd, key, 0, 8, PROT_READ | PROT_WRITE);
	volatile uint64_t *others = view(fd, other, 0, 8, PROT_READ | PROT_WRITE);

	CHECK(!give(fd, key, 2, 3, RW));
	for (int page = 0; page < 8; page++) {
		bool in = page >= 2 && page < 5;

		CHECK_EQUAL(write_at(own + page * PAGE / 8, 1), in ? 0 : SIGBUS);
		CHECK_EQUAL(read_at(others + page * PAGE / 8), SIGBUS);
	}
}

static void pages_are_zeros_at_first(void)
{
	for (int round = 0; round < 8; round++) {
		int fd = device_with(64);
		uint32_t key = new_key(fd);
		volatile uint64_t *own = view(fd, key, 0, 64, PROT_READ | PROT_WRITE);

		CHECK(!give(fd, key, 0, 64, RW));
		for (size_t i = 0; i < 64 * PAGE / 8; i++) {
			CHECK_EQUAL(own[i], 0);
			own[i] = 0x5ec4e75ec4e75ec4ULL;
		}
		munmap((void *)own, 64 * PAGE);
		close(fd);
	}
}

static void revoked_pages_are_gone(void)
{
	int fd = device_with(8);
	uint32_t key = new_key(fd);
	volatile uint64_t *own = view(fd, key, 0, 8, PROT_READ | PROT_WRITE), *again;

	again = view(fd, key, 0, 8, PROT_READ | PROT_WRITE);
	CHECK(!give(fd, key, 0, 8, RW));
	for (int page = 0; page < 8; page++)
		own[page * PAGE / 8] = again[page * PAGE / 8 + 1] = page;
	CHECK(!revoke_range(fd, key, 2, 3, RW));
	for (int page = 0; page < 8; page++) {
		bool gone = page >= 2 && page < 5;

		CHECK_EQUAL(read_at(own + page * PAGE / 8), gone ? SIGBUS : 0);
		CHECK_EQUAL(write_at(again + page * PAGE / 8, 1), gone ? SIGBUS : 0);
	}
	CHECK(!revoke_range(fd, key, 0, 8, TMEBOX_READ));
	for (int page = 0; page < 8; page++)
		CHECK_EQUAL(read_at(own + page * PAGE / 8), SIGBUS);
	/* Bytes stay: only the right went. */
	CHECK(!grant(fd, key, 3, 1, TMEBOX_READ));
	CHECK_EQUAL(own[3 * PAGE / 8], 3);
}

static void read_only_grants_are_never_written(void)
{
	int fd = device_with(2);
	uint32_t key = new_key(fd);
	volatile uint64_t *own = view(fd, key, 0, 2, PROT_READ | PROT_WRITE), *host = view(fd, 0, 0, 2, PROT_READ);

	CHECK(!give(fd, key, 0, 2, TMEBOX_READ));
	CHECK_EQUAL(write_at(own, 1), SIGBUS);
	for (int round = 0; round < 3; round++) {
		CHECK_EQUAL(read_at(own), 0);
		CHECK_EQUAL(write_at(own, 1), SIGBUS);
	}
	/* The kernel makes entries writable again when protection is given back. */
	for (int round = 0; round < 3; round++) {
		CHECK(!mprotect((void *)own, 2 * PAGE, PROT_READ));
		CHECK_EQUAL(read_at(own), 0);
		CHECK_EQUAL(write_at(own, 1), SIGSEGV);
		CHECK(!mprotect((void *)own, 2 * PAGE, PROT_READ | PROT_WRITE));
		CHECK_EQUAL(write_at(own, 1), SIGBUS);
		CHECK(!mprotect((void *)own, 2 * PAGE, PROT_NONE));
		CHECK_EQUAL(read_at(own), SIGSEGV);
		CHECK(!mprotect((void *)own, 2 * PAGE, PROT_READ | PROT_WRITE));
		CHECK_EQUAL(write_at(own, 1), SIGBUS);
	}
	/* The kernel writes for the process, too. */
	CHECK_ERROR(read(open("/dev/zero", O_RDONLY), (void *)own, 8), EFAULT);
	CHECK_EQUAL(host[0], 0);
}

static void rights_change_both_ways(void)
{
	int fd = device_with(1);
	uint32_t key = new_key(fd);
	volatile uint64_t *own = view(fd, key, 0, 1, PROT_READ | PROT_WRITE);

	CHECK(!move(fd, key, 0, 1));
	for (int round = 0; round < 4; round++) {
		CHECK(!grant(fd, key, 0, 1, TMEBOX_READ));
		CHECK_EQUAL(read_at(own), 0);
		CHECK_EQUAL(write_at(own, round), SIGBUS);
		CHECK(!grant(fd, key, 0, 1, RW));
		CHECK_EQUAL(write_at(own, round), 0);
		CHECK(!revoke_range(fd, key, 0, 1, TMEBOX_WRITE));
		CHECK_EQUAL(write_at(own, round), SIGBUS);
		CHECK_EQUAL(own[0], round);
		CHECK(!grant(fd, key, 0, 1, RW));
		CHECK_EQUAL(write_at(own, round), 0);
		CHECK(!grant(fd, key, 0, 1, TMEBOX_READ));
		CHECK_EQUAL(write_at(own, round), SIGBUS);
	}
}

/* The entry is read-only where the grant is not: it must be made anew, not refused and not for ever. */
static void protection_given_back_is_the_grants(void)
{
	int fd = device_with(2);
	uint32_t key = new_key(fd);
	volatile uint64_t *own = view(fd, key, 0, 2, PROT_READ | PROT_WRITE);

	CHECK(!give(fd, key, 0, 2, RW));
	for (int round = 0; round < 4; round++) {
		CHECK_EQUAL(round & 1 ? read_at(own) : write_at(own, 1), 0);
		CHECK(!mprotect((void *)own, 2 * PAGE, PROT_READ));
		CHECK_EQUAL(write_at(own, 1), SIGSEGV);
		CHECK_EQUAL(read_at(own), 0);
		CHECK(!mprotect((void *)own, 2 * PAGE, PROT_READ | PROT_WRITE));
		CHECK_EQUAL(write_at(own, 2), 0);
	}
}

static void a_view_for_reading_is_never_written(void)
{
	int fd = device_with(1);
	uint32_t key = new_key(fd);
	volatile uint64_t *own = view(fd, key, 0, 1, PROT_READ), *host = view(fd, 0, 0, 1, PROT_READ);

	CHECK(!give(fd, key, 0, 1, RW));
	CHECK_EQUAL(read_at(own), 0);
	CHECK_EQUAL(write_at(own, 1), SIGSEGV);
	CHECK_EQUAL(host[0], 0);
}

static void freed_keys_take_their_views_along(void)
{
	int fd = device_with(4);
	uint32_t key = new_key(fd), again = 0;
	unsigned int keys = info_of(fd).keys;
	volatile uint64_t *own = view(fd, key, 0, 4, PROT_READ | PROT_WRITE);
	volatile uint64_t *host = view(fd, 0, 0, 4, PROT_READ | PROT_WRITE);

	CHECK(!give(fd, key, 0, 4, RW | TMEBOX_OWNER));
	own[0] = 7;
	own[PAGE / 8] = 8;
	CHECK_EQUAL(host[0], 7);
	CHECK(!move(fd, 0, 1, 1));
	CHECK(!key_free(fd, key));
	CHECK_EQUAL(read_at(own), SIGBUS);
	CHECK_EQUAL(host[0], 0);		/* the key's page, rewritten */
	CHECK_EQUAL(host[PAGE / 8], 8);		/* the host had it back before */
	CHECK_ERROR(key_free(fd, key), ENOENT);
	CHECK_ERROR(grant(fd, key, 0, 1, RW), ENOENT);
	/* When the same number comes again, nothing is granted. */
	for (unsigned int i = 0; i < keys; i++) {
		again = new_key(fd);
		if (again == key)
			break;
	}
	CHECK_EQUAL(again, key);
	CHECK_EQUAL(read_at(own), SIGBUS);
}

static void discarded_pages_are_nobodys_and_zero(void)
{
	int fd = device_with(4);
	uint32_t key = new_key(fd);
	volatile uint64_t *own = view(fd, key, 0, 4, PROT_READ | PROT_WRITE), *all = alias(fd, key, 0, 4);
	volatile uint64_t *host = view(fd, 0, 0, 4, PROT_READ | PROT_WRITE);

	CHECK(!give(fd, key, 0, 4, RW | TMEBOX_OWNER));
	for (int page = 0; page < 4; page++)
		own[page * PAGE / 8] = all[page * PAGE / 8 + 1] = host[page * PAGE / 8 + 2] = 7;
	CHECK(!discard(fd, 1, 2));
	for (int page = 0; page < 4; page++) {
		bool gone = page == 1 || page == 2;

		CHECK_EQUAL(read_at(own + page * PAGE / 8), gone ? SIGBUS : 0);
		CHECK_EQUAL(host[page * PAGE / 8], gone ? 0 : 7);
		if (!gone || !encrypted(fd))	/* new pages are not the key's */
			CHECK_EQUAL(all[page * PAGE / 8 + 1], gone ? 0 : 7);
	}
	CHECK(!give(fd, key, 1, 1, RW));
	CHECK_EQUAL(own[PAGE / 8], 0);
	CHECK(!discard(fd, 0, 4));
	CHECK(!discard(fd, 0, 4));
}

static const struct test tests[] = {
	{ "discarded pages are nobody's and zero", discarded_pages_are_nobodys_and_zero, 0 },
	{ "nothing is there before a grant", nothing_is_there_before_a_grant, 0 },
	{ "grants reach just their pages", grants_reach_just_their_pages, 0 },
	{ "pages are zeros at first", pages_are_zeros_at_first, 0 },
	{ "revoked pages are gone", revoked_pages_are_gone, 0 },
	{ "read-only grants are never written", read_only_grants_are_never_written, 0 },
	{ "rights change both ways", rights_change_both_ways, 0 },
	{ "protection given back is the grant's", protection_given_back_is_the_grants, 0 },
	{ "a view for reading is never written", a_view_for_reading_is_never_written, 0 },
	{ "freed keys take their views along", freed_keys_take_their_views_along, 0 },
	{},
};

const struct group grant_group = { "grants", tests };
