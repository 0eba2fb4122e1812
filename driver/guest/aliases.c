/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Every KeyID reaches the same memory, and entries are exactly what they should be. */
#include <signal.h>

#include "guest.h"

#define PAGES 64
#define ENTRY_ADDRESS 0x000ffffffffff000ULL
#define PRESENT 1ULL
#define WRITABLE 2ULL
#define USER 4ULL
#define UNCACHED 0x18ULL	/* write-through, cache disable */
#define NO_EXECUTE (1ULL << 63)

static uint64_t mark(unsigned int writer, unsigned int page)
{
	return 0x9e3779b97f4a7c15ULL * (writer * PAGES + page + 1);
}

/*
 * Each key writes a word of its own into each page, and each key reads what
 * each has written. It needs memory that is there once for every KeyID: the
 * machine's RAM appears again at each.
 */
static void every_alias_reads_what_every_other_wrote(void)
{
	int fd = device_with(PAGES);
	unsigned int keys = info_of(fd).keys, wrong = 0, of = 0;
	volatile uint64_t *views[512];

	CHECK(keys && keys < 512);
	views[0] = alias(fd, 0, 0, PAGES);
	for (unsigned int k = 1; k <= keys; k++) {
		uint32_t key = new_key(fd);

		CHECK(!grant(fd, key, 0, PAGES, RW));
		views[k] = view(fd, key, 0, PAGES, PROT_READ | PROT_WRITE);
	}
	for (unsigned int writer = 0; writer <= keys; writer++)
		for (unsigned int page = 0; page < PAGES; page++)
			views[writer][page * PAGE / 8 + writer] = mark(writer, page);
	for (unsigned int reader = 0; reader <= keys; reader++)
		for (unsigned int writer = 0; writer <= keys; writer++)
			for (unsigned int page = 0; page < PAGES; page++, of++)
				wrong += views[reader][page * PAGE / 8 + writer] != mark(writer, page);
	report("count wrong words between aliases: %u of %u", wrong, of);
	CHECK_EQUAL(wrong, 0);
}

static void check_entry(const volatile void *address, uint64_t frame_address, unsigned int key,
			unsigned int shift, bool writable)
{
	uint64_t entry = entry_of(address);

	CHECK_EQUAL(entry & ENTRY_ADDRESS, (uint64_t)key << shift | frame_address);
	CHECK_EQUAL(entry & (PRESENT | USER), PRESENT | USER);
	CHECK_EQUAL(entry & WRITABLE, writable ? WRITABLE : 0);
	CHECK_EQUAL(entry & UNCACHED, 0);
	CHECK_EQUAL(entry & NO_EXECUTE, NO_EXECUTE);
}

/* The monitor looks: what an entry says cannot be seen from inside. */
static void entries_carry_the_key_of_their_view(void)
{
	int fd = device_with(8);
	struct tmebox_info info = info_of(fd);
	volatile uint64_t *host = alias(fd, 0, 0, 8);
	uint64_t frame;

	host[0] = 1;
	frame = entry_of(host) & ENTRY_ADDRESS;
	CHECK(frame && !(frame >> info.key_shift));
	check_entry(host, frame, 0, info.key_shift, true);
	for (unsigned int k = 1; k <= info.keys; k++) {
		uint32_t key = new_key(fd);
		volatile uint64_t *own = view(fd, key, 0, 8, PROT_READ | PROT_WRITE);

		CHECK(!grant(fd, key, 0, 1, RW));
		own[1] = key;
		check_entry(own, frame, key, info.key_shift, true);
		CHECK_EQUAL(entry_of(own + PAGE / 8), 0);
	}
}

static void read_only_grants_make_read_only_entries(void)
{
	int fd = device_with(2);
	uint32_t key = new_key(fd);
	unsigned int shift = info_of(fd).key_shift;
	volatile uint64_t *host = alias(fd, 0, 0, 2), *own = view(fd, key, 0, 2, PROT_READ | PROT_WRITE);
	uint64_t frame;

	host[0] = 1;
	frame = entry_of(host) & ENTRY_ADDRESS;
	CHECK(!grant(fd, key, 0, 1, TMEBOX_READ));
	CHECK_EQUAL(read_at(own), 0);
	check_entry(own, frame, key, shift, false);
	CHECK(write_at(own, 1));
	check_entry(own, frame, key, shift, false);
	CHECK(!grant(fd, key, 0, 1, RW));
	CHECK_EQUAL(entry_of(own), 0);
	CHECK_EQUAL(read_at(own), 0);
	check_entry(own, frame, key, shift, true);
	CHECK(!revoke_range(fd, key, 0, 1, RW));
	CHECK_EQUAL(entry_of(own), 0);
}

static void the_hosts_view_carries_each_pages_owner(void)
{
	int fd = device_with(4);
	unsigned int shift = info_of(fd).key_shift;
	uint32_t a = new_key(fd), b = new_key(fd);
	volatile uint64_t *host = view(fd, 0, 0, 4, PROT_READ | PROT_WRITE), *plain = alias(fd, 0, 0, 4);
	uint64_t frame, owners[] = { a, b, 0, a };

	host[0] = 1;
	frame = entry_of(host) & ENTRY_ADDRESS;
	check_entry(host, frame, 0, shift, true);
	for (int i = 0; i < 4; i++) {
		CHECK(!grant(fd, owners[i], 0, 1, TMEBOX_OWNER));
		CHECK_EQUAL(entry_of(host), 0);
		host[0] = i;
		check_entry(host, frame, owners[i], shift, true);
		plain[1] = i;
		check_entry(plain, frame, 0, shift, true);
	}
	/* Whether the key has the page is another question. */
	CHECK(read_at(view(fd, a, 0, 4, PROT_READ)));
	CHECK(!key_free(fd, a));
	CHECK_EQUAL(entry_of(host), 0);
	CHECK_EQUAL(read_at(host), 0);
	check_entry(host, frame, 0, shift, true);
}

static void aliases_of_a_key_reach_every_page(void)
{
	int fd = device_with(2);
	uint32_t key = new_key(fd);
	volatile uint64_t *host = alias(fd, 0, 0, 2), *all = alias(fd, key, 0, 2);

	host[0] = 5;
	all[1] = 6;
	CHECK_EQUAL(host[1], 6);
	check_entry(all, entry_of(host) & ENTRY_ADDRESS, key, info_of(fd).key_shift, true);
	CHECK(!key_free(fd, key));
	CHECK(read_at(all));
}

static void moved_pages_keep_their_bytes(void)
{
	int fd = device_with(8);
	unsigned int shift = info_of(fd).key_shift;
	uint32_t a = new_key(fd), b = new_key(fd);
	uint32_t owners[] = { a, b, a, 0, b, 0 };
	volatile uint64_t *host = view(fd, 0, 0, 8, PROT_READ | PROT_WRITE), *plain = alias(fd, 0, 0, 8);
	volatile uint64_t *seen = view(fd, b, 0, 8, PROT_READ);

	for (unsigned int i = 0; i < 6 * PAGE / 8; i++)
		host[i] = i * 0x9e3779b97f4a7c15ULL;
	CHECK(!move(fd, a, 1, 1));	/* not all have the same owner at first */
	for (unsigned int round = 0; round < sizeof(owners) / sizeof(*owners); round++) {
		CHECK(!move(fd, owners[round], 0, 6));
		CHECK_EQUAL(entry_of(host + 2 * PAGE / 8), 0);
		for (unsigned int i = 0; i < 6 * PAGE / 8; i++)
			CHECK_EQUAL(host[i], i * 0x9e3779b97f4a7c15ULL);
		check_entry(host, entry_of(plain + (*plain & 0)) & ENTRY_ADDRESS, owners[round], shift, true);
	}
	CHECK(read_at(seen));		/* it was never granted */
	/* A key that ends takes what is its own along, and nothing else. */
	CHECK(!move(fd, a, 0, 2));
	CHECK(!key_free(fd, a));
	CHECK_EQUAL(host[1], 0);
	CHECK_EQUAL(host[2 * PAGE / 8 + 1], (2 * PAGE / 8 + 1) * 0x9e3779b97f4a7c15ULL);
}

/* Memory that keys share has its owner's KeyID in all of their views, until it has another owner. */
static void shared_grants_carry_the_owners_key(void)
{
	int fd = device_with(4);
	unsigned int shift = info_of(fd).key_shift;
	uint32_t a = new_key(fd), b = new_key(fd), owner = new_key(fd);
	volatile uint64_t *at_a = view(fd, a, 0, 4, PROT_READ | PROT_WRITE);
	volatile uint64_t *at_b = view(fd, b, 0, 4, PROT_READ | PROT_WRITE), *plain = alias(fd, 0, 0, 4);
	const unsigned int shared = TMEBOX_READ | TMEBOX_AS_OWNER;
	uint64_t frame;

	plain[0] = 7;
	frame = entry_of(plain) & ENTRY_ADDRESS;
	for (int way = 0; way < 5; way++) {
		if (way == 4)
			CHECK(!grant(fd, owner, 0, 1, TMEBOX_OWNER));
		CHECK(!grant(fd, a, 0, 2, shared | TMEBOX_WRITE) && !grant(fd, b, 0, 1, shared));
		CHECK_EQUAL(write_at(at_a, 7), 0);
		CHECK_EQUAL(read_at(at_b), 0);
		check_entry(at_a, frame, way == 0 ? 0 : way == 4 ? owner : a, shift, true);
		check_entry(at_b, frame, way == 0 ? 0 : way == 4 ? owner : a, shift, false);
		CHECK(write_at(at_b, 8));
		/* Whatever changes the owner ends the grants, and no others. */
		if (way == 0)
			CHECK(!grant(fd, a, 0, 1, TMEBOX_OWNER));
		else if (way == 1)
			CHECK(!move(fd, b, 0, 1) && !move(fd, a, 0, 1));
		else if (way == 2)
			CHECK(!discard(fd, 0, 1) && !grant(fd, a, 0, 1, TMEBOX_OWNER));
		else if (way == 3)
			CHECK(!grant(fd, b, 0, 1, RW) && !grant(fd, a, 0, 1, RW));
		else
			CHECK(!key_free(fd, owner));
		if (way == 2) {		/* it is another page of memory now */
			plain[0] = 7;
			frame = entry_of(plain) & ENTRY_ADDRESS;
		}
		if (way == 3) {
			CHECK_EQUAL(write_at(at_b, 7), 0);
			check_entry(at_b, frame, b, shift, true);
			continue;
		}
		CHECK_EQUAL(entry_of(at_a), 0);
		CHECK_EQUAL(entry_of(at_b), 0);
		CHECK_EQUAL(read_at(at_a), SIGBUS);
		CHECK_EQUAL(read_at(at_b), SIGBUS);
		CHECK_EQUAL(read_at(at_a + PAGE / 8), 0);
	}
}

/* Long ranges are worked off in pieces. Each page has one owner, and its bytes. */
static void ranges_of_several_pieces(void)
{
	const uint64_t pages = 40000, at[] = { 0, 16383, 16384, 32767, 32768, 39999 };
	int fd = device_with(pages);
	uint32_t a = new_key(fd), b = new_key(fd), owners[] = { a, b, 0 };
	volatile uint64_t *host = view(fd, 0, 0, pages, PROT_READ | PROT_WRITE);
	unsigned int shift = info_of(fd).key_shift;

	CHECK(!grant(fd, a, 0, pages, TMEBOX_OWNER));	/* before any of them is there */
	for (int i = 0; i < 6; i++) {
		host[at[i] * PAGE / 8] = at[i] + 1;
		CHECK_EQUAL((entry_of(host + at[i] * PAGE / 8) & ENTRY_ADDRESS) >> shift, a);
	}
	for (int turn = 0; turn < 3; turn++) {
		CHECK(!move(fd, owners[turn], 0, pages));
		CHECK(!flush(fd, owners[turn], 0, pages));
		for (int i = 0; i < 6; i++) {
			CHECK_EQUAL(host[at[i] * PAGE / 8], at[i] + 1);
			CHECK_EQUAL((entry_of(host + at[i] * PAGE / 8) & ENTRY_ADDRESS) >> shift, owners[turn]);
		}
	}
	/* Shared entries go with their owner, as far as that was one. */
	CHECK(!grant(fd, a, 0, pages, TMEBOX_OWNER));
	CHECK(!grant(fd, b, 16000, 20000, TMEBOX_READ | TMEBOX_AS_OWNER));
	CHECK(!grant(fd, 0, 16384, 1, TMEBOX_OWNER));
	CHECK(!grant(fd, b, 16384, 1, TMEBOX_READ | TMEBOX_AS_OWNER));
	volatile uint64_t *shared = view(fd, b, 0, pages, PROT_READ);

	CHECK_EQUAL(read_at(shared + 16383 * PAGE / 8), 0);
	CHECK_EQUAL(read_at(shared + 32768 * PAGE / 8), 0);
	CHECK(!key_free(fd, a));
	CHECK_EQUAL(read_at(shared + 16383 * PAGE / 8), SIGBUS);
	CHECK_EQUAL(read_at(shared + 16384 * PAGE / 8), 0);
	CHECK_EQUAL(read_at(shared + 32768 * PAGE / 8), SIGBUS);
	CHECK_EQUAL(host[0], 0);
	CHECK_EQUAL(host[16384 * PAGE / 8], 16385);
	CHECK(!discard(fd, 0, pages));
	CHECK_EQUAL(read_at(shared + 16384 * PAGE / 8), SIGBUS);
	for (int i = 0; i < 6; i++)
		CHECK_EQUAL(host[at[i] * PAGE / 8], 0);
}

static const struct test tests[] = {
	{ "shared grants carry the owner's key", shared_grants_carry_the_owners_key, 0 },
	{ "moved pages keep their bytes", moved_pages_keep_their_bytes, 0 },
	{ "every alias reads what every other wrote", every_alias_reads_what_every_other_wrote, 120 },
	{ "entries carry the key of their view", entries_carry_the_key_of_their_view, 120 },
	{ "read-only grants make read-only entries", read_only_grants_make_read_only_entries, 0 },
	{ "the host's view carries each page's owner", the_hosts_view_carries_each_pages_owner, 0 },
	{ "aliases of a key reach every page", aliases_of_a_key_reach_every_page, 0 },
	{ "ranges of several pieces", ranges_of_several_pieces, 300 },
	{},
};

const struct group alias_group = { "alias", tests };
