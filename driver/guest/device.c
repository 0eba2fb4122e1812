/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* The driver's calls, as the tests make them. */
#include "guest.h"

int device(void)
{
	int fd = open("/dev/tmebox", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		FAIL("/dev/tmebox: %s", strerror(errno));
	return fd;
}

int create(int fd, uint64_t pages)
{
	struct tmebox_create call = { .pages = pages };

	return ioctl(fd, TMEBOX_IOC_CREATE, &call);
}

int device_with(uint64_t pages)
{
	int fd = device();

	if (create(fd, pages))
		FAIL("a heap of %lu pages: %s", (unsigned long)pages, strerror(errno));
	return fd;
}

struct tmebox_info info_of(int fd)
{
	struct tmebox_info info;

	memset(&info, 0xee, sizeof(info));
	if (ioctl(fd, TMEBOX_IOC_INFO, &info))
		FAIL("INFO: %s", strerror(errno));
	return info;
}

int key_alloc(int fd, uint32_t *key)
{
	struct tmebox_key_number number = { 0, 0 };
	int error = ioctl(fd, TMEBOX_IOC_KEY_ALLOC, &number);

	*key = number.key;
	return error;
}

unsigned int new_key(int fd)
{
	uint32_t key;

	if (key_alloc(fd, &key))
		FAIL("no key: %s", strerror(errno));
	CHECK(key > 0);
	return key;
}

int key_free(int fd, uint32_t key)
{
	struct tmebox_key_number number = { key, 0 };

	return ioctl(fd, TMEBOX_IOC_KEY_FREE, &number);
}

static int range(int fd, unsigned long call, uint32_t key, uint64_t first, uint64_t count, uint32_t rights)
{
	struct tmebox_range range = { key, rights, first, count };

	return ioctl(fd, call, &range);
}

int grant(int fd, uint32_t key, uint64_t first, uint64_t count, uint32_t rights)
{
	return range(fd, TMEBOX_IOC_GRANT, key, first, count, rights);
}

int revoke_range(int fd, uint32_t key, uint64_t first, uint64_t count, uint32_t rights)
{
	return range(fd, TMEBOX_IOC_REVOKE, key, first, count, rights);
}

int flush(int fd, uint32_t key, uint64_t first, uint64_t count)
{
	return range(fd, TMEBOX_IOC_FLUSH, key, first, count, 0);
}

int move(int fd, uint32_t key, uint64_t first, uint64_t count)
{
	return range(fd, TMEBOX_IOC_MOVE, key, first, count, 0);
}

/*
 * The pages become the key's own, with their bytes, and are granted to it.
 * With a grant alone their lines would be another key's, which memory that
 * is encrypted does not allow to read, nor to write in part.
 */
int give(int fd, uint32_t key, uint64_t first, uint64_t count, uint32_t rights)
{
	return move(fd, key, first, count) ?: grant(fd, key, first, count, rights);
}

int discard(int fd, uint64_t first, uint64_t count)
{
	return range(fd, TMEBOX_IOC_DISCARD, 0, first, count, 0);
}

static void *map(int fd, uint64_t offset, uint64_t count, int protection)
{
	void *address = mmap(NULL, count * PAGE, protection, MAP_SHARED, fd, offset);

	if (address == MAP_FAILED)
		FAIL("a view at %#llx: %s", (unsigned long long)offset, strerror(errno));
	return address;
}

void *view(int fd, uint32_t key, uint64_t first, uint64_t count, int protection)
{
	return map(fd, TMEBOX_OFFSET(key, first * PAGE), count, protection);
}

void *alias(int fd, uint32_t key, uint64_t first, uint64_t count)
{
	return map(fd, TMEBOX_ALIAS | TMEBOX_OFFSET(key, first * PAGE), count, PROT_READ | PROT_WRITE);
}

bool encrypted(int fd)
{
	return !(info_of(fd).flags & TMEBOX_SIMULATED);
}

/* Where it is a machine check, only if that was asked for: many kernels do not survive it. */
bool may_use_wrong_keys(int fd)
{
	return !encrypted(fd) || number_for("wrong_key", 0);
}

unsigned int free_keys(void)
{
	int fd = device_with(1);
	unsigned int count = 0;
	uint32_t key;

	while (!key_alloc(fd, &key))
		count++;
	CHECK(errno == ENOSPC);
	close(fd);
	return count;
}
