/* malloc and mmap: contents survive, objects never overlap, alignment, zeros, exhaustion and recovery. */
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"

enum { OBJECTS = 600, ROUNDS = 60000 };
static struct {
	unsigned char *bytes;
	size_t size;
	unsigned char seed;
} objects[OBJECTS];

static void paint(int i)
{
	for (size_t k = 0; k < objects[i].size; k++) objects[i].bytes[k] = (unsigned char)(objects[i].seed + k);
}

static int intact(int i, size_t size)
{
	for (size_t k = 0; k < size; k++)
		if (objects[i].bytes[k] != (unsigned char)(objects[i].seed + k)) return 0;
	return 1;
}

static size_t random_size(void)
{
	static const size_t limits[] = { 16, 100, 1000, 9000, 100000 };
	return next_random() % limits[next_random() % 50 ? next_random() % 3 : next_random() % 5];
}

static int all_zero(const unsigned char *bytes, size_t size)
{
	for (size_t k = 0; k < size; k++)
		if (bytes[k]) return 0;
	return 1;
}

static void churn(void)
{
	for (int round = 0; round < ROUNDS; round++) {
		int i = (int)(next_random() % OBJECTS);
		size_t size = random_size();
		if (objects[i].bytes && next_random() % 3 == 0) {
			size_t kept = size < objects[i].size ? size : objects[i].size;
			unsigned char *moved = realloc(objects[i].bytes, size + 1);
			CHECK(moved);
			objects[i].bytes = moved;
			CHECK(intact(i, kept));
			objects[i].size = size;
			paint(i);
			continue;
		}
		CHECK(intact(i, objects[i].size));
		free(objects[i].bytes);
		objects[i].size = size;
		objects[i].seed = (unsigned char)next_random();
		switch (next_random() % 4) {
		case 0:
			objects[i].bytes = calloc(1, size);
			CHECK(all_zero(objects[i].bytes, size));
			break;
		case 1: {
			size_t align = (size_t)16 << next_random() % 10;
			objects[i].bytes = aligned_alloc(align, size);
			CHECK((uintptr_t)objects[i].bytes % align == 0);
			break;
		}
		default:
			objects[i].bytes = malloc(size);
			CHECK((uintptr_t)objects[i].bytes % 16 == 0);
		}
		CHECK(objects[i].bytes && malloc_usable_size(objects[i].bytes) >= size);
		paint(i);
	}
	for (int i = 0; i < OBJECTS; i++) {
		CHECK(intact(i, objects[i].size));
		free(objects[i].bytes);
		objects[i].bytes = NULL;
		objects[i].size = 0;
	}
}

static void exhaust(void)
{
	/* A chain through all memory there is; then all of it is there again. */
	void **chain = NULL, **block;
	size_t count = 0, again = 0;
	while ((block = malloc(500000))) *block = chain, chain = block, count++;
	CHECK(errno == ENOMEM && count > 10);
	for (; chain; chain = block) block = *chain, free(chain);
	while ((block = malloc(500000))) *block = chain, chain = block, again++;
	CHECK(again >= count);
	for (; chain; chain = block) block = *chain, free(chain);
	while ((block = malloc(40))) *block = chain, chain = block;
	for (; chain; chain = block) block = *chain, free(chain);
	/* Called through pointers: the compiler believes that an allocation nobody uses succeeds. */
	void *(*volatile allocate)(size_t) = malloc, *(*volatile clear)(size_t, size_t) = calloc;
	CHECK(!allocate(SIZE_MAX) && !allocate(SIZE_MAX - 4096) && !clear(SIZE_MAX / 2, 3) && !allocate(1UL << 32));
}

static void map(void)
{
	const size_t page = 4096;
	unsigned char *run = mmap(NULL, 10 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(run != MAP_FAILED && all_zero(run, 10 * page));
	memset(run, 1, 10 * page);
	CHECK(munmap(run + 2 * page, 3 * page) == 0);
	unsigned char *hole = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(hole != MAP_FAILED && all_zero(hole, 3 * page));
	unsigned char *fixed = mmap(run, page, PROT_READ, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(fixed == run && all_zero(run, page) && run[page] == 1);
	CHECK(madvise(run + page, page, MADV_DONTNEED) == 0 && all_zero(run, 2 * page) && run[5 * page] == 1);
	unsigned char *grown = mremap(run + 5 * page, 5 * page, 600 * page, MREMAP_MAYMOVE);
	CHECK(grown != MAP_FAILED && grown[5 * page - 1] == 1 && all_zero(grown + 5 * page, 595 * page));
	CHECK(munmap(grown, 600 * page) == 0);
	CHECK(mmap(NULL, page, PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == EACCES);
	CHECK(mprotect(run, page, PROT_READ | PROT_EXEC) == -1 && errno == EACCES);
	CHECK(munmap((void *)page, page) == -1 && errno == EINVAL);
	CHECK(munmap((void *)(run - (unsigned char *)0 + (1UL << 33)), page) == -1 && errno == EINVAL);
	CHECK(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == EINVAL);
	CHECK(mmap(NULL, 1UL << 40, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == ENOMEM);
	CHECK(sbrk(4096) == (void *)-1);
}

int main(void)
{
	churn();
	map();
	exhaust();
	churn();
	FINISH();
}
