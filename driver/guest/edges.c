/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Numbers at every edge, wrapped, and nonsense. */
#include "guest.h"

#define PAGES 16
#define TOP (~0ULL)

static void ranges_at_every_edge(void)
{
	static const struct {
		uint64_t first, count;
		bool good;
	} ranges[] = {
		{ 0, PAGES, true }, { 0, 1, true }, { PAGES - 1, 1, true }, { PAGES / 2, PAGES / 2, true },
		{ 0, 0, false }, { PAGES, 0, false }, { 0, PAGES + 1, false }, { PAGES, 1, false },
		{ PAGES - 1, 2, false }, { 1, PAGES, false }, { TOP, 1, false }, { TOP, 2, false },
		{ 1, TOP, false }, { TOP, TOP, false }, { 0, TOP, false }, { PAGES - 1, TOP, false },
		{ PAGES - 1, TOP - PAGES + 2, false }, { PAGES - 1, TOP - PAGES + 3, false },
		{ 1ULL << 32, 1, false }, { 0, 1ULL << 32, false }, { (1ULL << 32) + 1, 1, false },
		{ 0, (1ULL << 32) + 1, false }, { 1ULL << 24, 1, false }, { 0, (1ULL << 24) + 1, false },
		{ 1ULL << 52, 1, false }, { 1ULL << 63, 1ULL << 63, false }, { 1, (1ULL << 63) - 1, false },
		{ 1ULL << 31, 1, false }, { 0, 1ULL << 31, false },
	};
	int fd = device_with(PAGES);
	uint32_t key = new_key(fd);

	for (size_t i = 0; i < sizeof(ranges) / sizeof(*ranges); i++) {
		uint64_t first = ranges[i].first, count = ranges[i].count;

		if (ranges[i].good) {
			CHECK(!give(fd, key, first, count, RW));
			CHECK(!grant(fd, key, first, count, TMEBOX_OWNER));
			CHECK(!flush(fd, key, first, count));
			CHECK(!move(fd, 0, first, count));
			CHECK(!discard(fd, first, count));
			CHECK(!revoke_range(fd, key, first, count, RW));
			continue;
		}
		CHECK_ERROR(grant(fd, key, first, count, RW), EINVAL);
		CHECK_ERROR(grant(fd, key, first, count, TMEBOX_OWNER), EINVAL);
		CHECK_ERROR(grant(fd, 0, first, count, TMEBOX_OWNER), EINVAL);
		CHECK_ERROR(flush(fd, key, first, count), EINVAL);
		CHECK_ERROR(flush(fd, 0, first, count), EINVAL);
		CHECK_ERROR(move(fd, key, first, count), EINVAL);
		CHECK_ERROR(move(fd, 0, first, count), EINVAL);
		CHECK_ERROR(discard(fd, first, count), EINVAL);
		CHECK_ERROR(revoke_range(fd, key, first, count, RW), EINVAL);
	}
}

static void keys_that_do_not_exist(void)
{
	int fd = device_with(PAGES);
	uint32_t key = new_key(fd);
	const uint32_t wrong[] = { key + 1, key - 1 ? key - 1 : 0xffff, 0x7fff, 0x8000, 0x10000, 0x10000 | key,
		0x80000000, 0x80000000 | key, 0xffffffff };

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		CHECK_ERROR(grant(fd, wrong[i], 0, 1, RW), ENOENT);
		CHECK_ERROR(grant(fd, wrong[i], 0, 1, TMEBOX_OWNER), ENOENT);
		CHECK_ERROR(revoke_range(fd, wrong[i], 0, 1, RW), ENOENT);
		CHECK_ERROR(flush(fd, wrong[i], 0, 1), ENOENT);
		CHECK_ERROR(move(fd, wrong[i], 0, 1), ENOENT);
		CHECK_ERROR(key_free(fd, wrong[i]), ENOENT);
	}
	/* Key 0 is the host's: it has its rights already, and keeps them. */
	CHECK_ERROR(key_free(fd, 0), ENOENT);
	CHECK_ERROR(grant(fd, 0, 0, 1, RW), EINVAL);
	CHECK_ERROR(grant(fd, 0, 0, 1, RW | TMEBOX_OWNER), EINVAL);
	CHECK_ERROR(revoke_range(fd, 0, 0, 1, RW), EINVAL);
}

static void rights_that_make_no_sense(void)
{
	int fd = device_with(PAGES);
	uint32_t key = new_key(fd);

	CHECK_ERROR(grant(fd, key, 0, 1, 0), EINVAL);
	CHECK_ERROR(grant(fd, key, 0, 1, TMEBOX_WRITE), EINVAL);
	CHECK_ERROR(grant(fd, key, 0, 1, TMEBOX_WRITE | TMEBOX_OWNER), EINVAL);
	CHECK_ERROR(revoke_range(fd, key, 0, 1, 0), EINVAL);
	CHECK_ERROR(revoke_range(fd, key, 0, 1, TMEBOX_OWNER), EINVAL);
	CHECK_ERROR(revoke_range(fd, key, 0, 1, RW | TMEBOX_OWNER), EINVAL);
	CHECK_ERROR(grant(fd, key, 0, 1, TMEBOX_AS_OWNER), EINVAL);
	CHECK_ERROR(grant(fd, key, 0, 1, TMEBOX_WRITE | TMEBOX_AS_OWNER), EINVAL);
	CHECK_ERROR(grant(fd, key, 0, 1, RW | TMEBOX_OWNER | TMEBOX_AS_OWNER), EINVAL);
	CHECK_ERROR(grant(fd, 0, 0, 1, TMEBOX_READ | TMEBOX_AS_OWNER), EINVAL);
	CHECK_ERROR(revoke_range(fd, key, 0, 1, RW | TMEBOX_AS_OWNER), EINVAL);
	for (int bit = 4; bit < 32; bit++) {
		CHECK_ERROR(grant(fd, key, 0, 1, TMEBOX_READ | 1U << bit), EINVAL);
		CHECK_ERROR(revoke_range(fd, key, 0, 1, TMEBOX_READ | 1U << bit), EINVAL);
	}
}

static void offsets_at_every_edge(void)
{
	int fd = device_with(PAGES);
	uint32_t key = new_key(fd), other = key == 1 ? 2 : 1;
	const struct {
		uint64_t offset, pages;
		int error;	/* 0: any */
	} wrong[] = {
		{ TMEBOX_OFFSET(key, 0), PAGES + 1, EINVAL },
		{ TMEBOX_OFFSET(key, PAGES * PAGE), 1, EINVAL },
		{ TMEBOX_OFFSET(key, PAGE), PAGES, EINVAL },
		{ TMEBOX_OFFSET(key, (PAGES - 1) * PAGE), 2, EINVAL },
		{ TMEBOX_OFFSET(key + 1, 0) - PAGE, 1, EINVAL },
		{ TMEBOX_OFFSET(key + 1, 0) - PAGE, 2, EINVAL },
		{ TMEBOX_OFFSET(0, PAGES * PAGE), 1, EINVAL },
		{ TMEBOX_OFFSET(1, 0) - PAGE, 2, EINVAL },
		{ TMEBOX_OFFSET(other, 0), 1, ENOENT },
		{ TMEBOX_OFFSET(0x7fff, 0), 1, ENOENT },
		{ TMEBOX_OFFSET(0x8000, 0), 1, EINVAL },
		{ TMEBOX_OFFSET(0x8000 | key, 0), 1, EINVAL },
		{ TMEBOX_ALIAS | TMEBOX_OFFSET(0x8000 | key, 0), 1, EINVAL },
		{ TMEBOX_ALIAS << 1 | TMEBOX_OFFSET(key, 0), 1, EINVAL },
		{ TMEBOX_ALIAS << 4 | TMEBOX_ALIAS | TMEBOX_OFFSET(key, 0), 1, EINVAL },
		{ 1ULL << 63, 1, 0 },
		{ 0 - PAGE, 1, 0 },
		{ 0 - PAGE, 2, 0 },
		{ TMEBOX_OFFSET(key, 1), 1, EINVAL },
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		void *at;

		errno = 0;
		at = mmap(NULL, wrong[i].pages * PAGE, PROT_READ, MAP_SHARED, fd, wrong[i].offset);
		if (at != MAP_FAILED || (wrong[i].error && errno != wrong[i].error))
			FAIL("offset %#llx, %llu pages: %p, %s", (unsigned long long)wrong[i].offset,
			     (unsigned long long)wrong[i].pages, at, strerror(errno));
	}
	/* The last page can be had alone. */
	CHECK(!give(fd, key, PAGES - 1, 1, RW));
	CHECK_EQUAL(write_at(view(fd, key, PAGES - 1, 1, PROT_READ | PROT_WRITE), 1), 0);
	CHECK_EQUAL(write_at(view(fd, key, PAGES - 2, 2, PROT_READ | PROT_WRITE) + PAGE, 1), 0);
}

static void heaps_of_every_size(void)
{
	static const uint64_t wrong[] = { 0, (1ULL << 24) + 1, 1ULL << 32, 1ULL << 52, 1ULL << 63, TOP };
	int fd = device();

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		CHECK_ERROR(create(fd, wrong[i]), EINVAL);
	if (sysconf(_SC_PHYS_PAGES) < 1L << 24)	/* 64 GiB are more than there is */
		CHECK_ERROR(create(fd, 1ULL << 24), ENOMEM);
	CHECK_EQUAL(info_of(fd).heap_pages, 0);
	CHECK(!create(fd, PAGES));
	CHECK_ERROR(create(fd, PAGES), EEXIST);
	CHECK_ERROR(create(fd, 1), EEXIST);
	CHECK_EQUAL(info_of(fd).heap_pages, PAGES);
}

static void nothing_goes_before_there_is_a_heap(void)
{
	int fd = device();
	uint32_t key;

	CHECK_ERROR(key_alloc(fd, &key), ENXIO);
	CHECK_ERROR(grant(fd, 1, 0, 1, RW), EINVAL);
	CHECK_ERROR(grant(fd, 0, 0, 1, TMEBOX_OWNER), EINVAL);
	CHECK_ERROR(revoke_range(fd, 1, 0, 1, RW), EINVAL);
	CHECK_ERROR(flush(fd, 0, 0, 1), EINVAL);
	CHECK_ERROR(key_free(fd, 1), ENOENT);
	CHECK_ERROR(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0), EINVAL);
}

static void pointers_that_are_none(void)
{
	static const unsigned long calls[] = { TMEBOX_IOC_INFO, TMEBOX_IOC_CREATE, TMEBOX_IOC_KEY_ALLOC,
		TMEBOX_IOC_KEY_FREE, TMEBOX_IOC_GRANT, TMEBOX_IOC_REVOKE, TMEBOX_IOC_FLUSH, TMEBOX_IOC_MOVE,
		TMEBOX_IOC_DISCARD };
	char *edge = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *fixed = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = device_with(PAGES);
	unsigned int keys = free_keys();

	CHECK(!mprotect(edge + PAGE, PAGE, PROT_NONE));
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		CHECK_ERROR(ioctl(fd, calls[i], NULL), EFAULT);
		CHECK_ERROR(ioctl(fd, calls[i], 1UL), EFAULT);
		CHECK_ERROR(ioctl(fd, calls[i], edge + PAGE - 4), EFAULT);
		CHECK_ERROR(ioctl(fd, calls[i], 0xffffffff81000000UL), EFAULT);
		CHECK_ERROR(ioctl(fd, calls[i], 0x8000000000000000UL), EFAULT);
	}
	CHECK_ERROR(ioctl(fd, TMEBOX_IOC_INFO, fixed), EFAULT);
	CHECK_ERROR(ioctl(fd, TMEBOX_IOC_KEY_ALLOC, fixed), EFAULT);
	/* A key whose number could not be said was given back. */
	CHECK_EQUAL(free_keys(), keys);
}

static void calls_that_are_none(void)
{
	int fd = device_with(PAGES);
	struct tmebox_key_number reserved = { new_key(fd), 1 };
	char bytes[256] = "";

	CHECK_ERROR(ioctl(fd, TMEBOX_IOC_KEY_FREE, &reserved), EINVAL);
	for (unsigned int number = 9; number < 256; number++)
		CHECK_ERROR(ioctl(fd, _IOW(TMEBOX_IOC, number, struct tmebox_range), bytes), ENOTTY);
	/* The size is part of the number. */
	CHECK_ERROR(ioctl(fd, _IOC(_IOC_WRITE, TMEBOX_IOC, 4, 16), bytes), ENOTTY);
	CHECK_ERROR(ioctl(fd, _IOC(_IOC_READ, TMEBOX_IOC, 4, sizeof(struct tmebox_range)), bytes), ENOTTY);
	CHECK_ERROR(read(fd, bytes, 1), EINVAL);
	CHECK_ERROR(write(fd, bytes, 1), EINVAL);
	CHECK_ERROR(fsync(fd), EINVAL);
	posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED);
	readahead(fd, 0, PAGE);
	sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	CHECK(ftruncate(fd, PAGE) == -1);
	CHECK(fallocate(fd, 0, 0, PAGE) == -1);
}

static void what_the_device_says(void)
{
	int fd = device_with(PAGES);
	struct tmebox_info info = info_of(fd);
	unsigned long bits = number_for("bits", 0);

	CHECK_EQUAL(info.version, TMEBOX_VERSION);
	CHECK(info.keys >= 1 && info.keys < 1U << info.key_bits);
	CHECK_EQUAL(info.heap_pages, PAGES);
	CHECK_EQUAL(info.heap_pages_max, 1ULL << 24);
	for (int i = 0; i < 3; i++)
		CHECK_EQUAL(info.reserved[i], 0);
	if (bits) {
		CHECK_EQUAL(info.key_bits, bits);
		CHECK_EQUAL(info.keys, (1U << bits) - 1);
		CHECK_EQUAL(info.key_shift, number_for("shift", 36));
		CHECK_EQUAL(info.flags, TMEBOX_SIMULATED);
	} else if (number_for("simulated", 0)) {
		CHECK_EQUAL(info.flags & (TMEBOX_SIMULATED | TMEBOX_INTEGRITY), TMEBOX_SIMULATED);
	} else {
		CHECK_EQUAL(info.flags & (TMEBOX_SIMULATED | TMEBOX_INTEGRITY), TMEBOX_INTEGRITY);
	}
}

static const struct test tests[] = {
	{ "ranges at every edge", ranges_at_every_edge, 0 },
	{ "keys that do not exist", keys_that_do_not_exist, 0 },
	{ "rights that make no sense", rights_that_make_no_sense, 0 },
	{ "offsets at every edge", offsets_at_every_edge, 0 },
	{ "heaps of every size", heaps_of_every_size, 0 },
	{ "nothing goes before there is a heap", nothing_goes_before_there_is_a_heap, 0 },
	{ "pointers that are none", pointers_that_are_none, 0 },
	{ "calls that are none", calls_that_are_none, 0 },
	{ "what the device says", what_the_device_says, 0 },
	{},
};

const struct group edge_group = { "edges", tests };
