/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What a process may not do with a view: execute, copy, split, move, pin, dump. */
#include <signal.h>
#include <sys/personality.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "guest.h"

static int fd;
static uint32_t key;
static volatile uint64_t *own;

/* Four pages, granted and written. */
static void start(void)
{
	fd = device_with(4);
	key = new_key(fd);
	own = view(fd, key, 0, 4, PROT_READ | PROT_WRITE);
	CHECK(!give(fd, key, 0, 4, RW));
	for (int page = 0; page < 4; page++)
		own[page * PAGE / 8] = page + 1;
}

static void still_there(void)
{
	for (int page = 0; page < 4; page++)
		CHECK_EQUAL(own[page * PAGE / 8], page + 1);
	CHECK(!revoke_range(fd, key, 0, 4, RW));
	for (int page = 0; page < 4; page++)
		CHECK_EQUAL(read_at(own + page * PAGE / 8), SIGBUS);
}

static void views_are_never_executable(void)
{
	start();
	CHECK_ERROR(mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, TMEBOX_OFFSET(key, 0)), EACCES);
	CHECK_ERROR(mmap(NULL, PAGE, PROT_EXEC, MAP_SHARED, fd, 0), EACCES);
	CHECK_ERROR(mprotect((void *)own, 4 * PAGE, PROT_READ | PROT_EXEC), EACCES);
	CHECK_ERROR(mprotect((void *)own, 4 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC), EACCES);
	CHECK(personality(READ_IMPLIES_EXEC) >= 0);
	CHECK_ERROR(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, TMEBOX_OFFSET(key, 0)), EACCES);
	/* This one leaves out what may not be. */
	CHECK(!mprotect((void *)own, 4 * PAGE, PROT_READ | PROT_WRITE));
	own[0] = 0xc3;	/* ret */
	CHECK_EQUAL(call_at(own), SIGSEGV);
	own[0] = 1;
	still_there();
}

static void views_are_shared(void)
{
	start();
	CHECK_ERROR(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, TMEBOX_OFFSET(key, 0)), EINVAL);
	CHECK_ERROR(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0), EINVAL);
	still_there();
}

static void views_are_not_split(void)
{
	char *at;

	start();
	at = (char *)own;
	CHECK_ERROR(munmap(at, PAGE), EINVAL);
	CHECK_ERROR(munmap(at + PAGE, PAGE), EINVAL);
	CHECK_ERROR(munmap(at + 3 * PAGE, PAGE), EINVAL);
	CHECK_ERROR(mprotect(at, PAGE, PROT_READ), EINVAL);
	CHECK_ERROR(mprotect(at + 2 * PAGE, PAGE, PROT_NONE), EINVAL);
	CHECK(mmap(at + PAGE, PAGE, PROT_READ, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
	madvise(at + PAGE, PAGE, MADV_RANDOM);
	still_there();
	CHECK(!munmap(at, 4 * PAGE));
	CHECK_EQUAL(read_at(own), SIGSEGV);
}

static void views_do_not_move(void)
{
	char *at, *place;

	start();
	at = (char *)own;
	place = mmap(NULL, 16 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(place != MAP_FAILED);
	CHECK(mremap(at, 4 * PAGE, 8 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED);
	CHECK(mremap(at, 4 * PAGE, 8 * PAGE, 0) == MAP_FAILED);
	CHECK(mremap(at, 4 * PAGE, PAGE, 0) == MAP_FAILED);
	CHECK(mremap(at, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, place) == MAP_FAILED);
	CHECK(mremap(at, 0, 4 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED);
	CHECK(mremap(at + PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, place) == MAP_FAILED);
	CHECK(mremap(at, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP) == MAP_FAILED);
	still_there();
}

/* The kernel cannot hold on to such pages, so nothing can outlive a revocation. */
static void pages_cannot_be_pinned(void)
{
	struct iovec local, remote;
	int ends[2], memory;
	char byte;

	start();
	local = (struct iovec){ (void *)own, 8 };
	CHECK(!pipe(ends));
	CHECK_ERROR(vmsplice(ends[1], &local, 1, 0), EFAULT);
	/* An ordinary write copies. */
	CHECK_EQUAL(write(ends[1], (void *)own, 8), 8);
	remote = local;
	local.iov_base = &(uint64_t){ 0 };
	CHECK_ERROR(process_vm_readv(getpid(), &local, 1, &remote, 1, 0), EFAULT);
	memory = open("/proc/self/mem", O_RDWR);
	CHECK(memory >= 0);
	CHECK_ERROR(pread(memory, &byte, 1, (off_t)own), EIO);
	CHECK_ERROR(pwrite(memory, &byte, 1, (off_t)own), EIO);
	CHECK(!revoke_range(fd, key, 0, 4, RW));
	CHECK_ERROR(write(ends[1], (void *)own, 8), EFAULT);
	CHECK(!grant(fd, key, 0, 4, RW));
	still_there();
}

static void advice_changes_nothing(void)
{
	start();
	for (int advice = 0; advice < 32; advice++)
		madvise((void *)own, 4 * PAGE, advice);
	CHECK_ERROR(madvise((void *)own, 4 * PAGE, MADV_DOFORK), EINVAL);
	CHECK_ERROR(madvise((void *)own, 4 * PAGE, MADV_DODUMP), EINVAL);
	mlock((void *)own, 4 * PAGE);
	mlockall(MCL_CURRENT | MCL_FUTURE);
	msync((void *)own, 4 * PAGE, MS_SYNC);
	still_there();
}

/* mlockall() and MAP_POPULATE must not install what was not granted. */
static void locking_grants_nothing(void)
{
	volatile uint64_t *locked;

	start();
	CHECK(!mlockall(MCL_CURRENT | MCL_FUTURE));
	locked = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd,
		      TMEBOX_OFFSET(new_key(fd), 0));
	CHECK(locked != MAP_FAILED);
	CHECK_EQUAL(read_at(locked), SIGBUS);
	still_there();
}

static void views_are_not_in_core_dumps_and_forks(void)
{
	char line[512];
	FILE *file;
	bool found = false;

	start();
	file = fopen("/proc/self/smaps", "r");
	CHECK(file);
	while (fgets(line, sizeof(line), file)) {
		if (strtoul(line, NULL, 16) == (unsigned long)own && strchr(line, '-'))
			found = true;
		if (!found || strncmp(line, "VmFlags:", 8))
			continue;
		CHECK(strstr(line, " dc"));	/* not copied by fork */
		CHECK(strstr(line, " dd"));	/* not dumped */
		CHECK(strstr(line, " de"));	/* not expanded */
		CHECK(strstr(line, " pf"));	/* page frames, no pages */
		CHECK(!strstr(line, " me"));	/* may never be executed */
		still_there();
		return;
	}
	FAIL("the view is not in smaps");
}

static const struct test tests[] = {
	{ "views are never executable", views_are_never_executable, 0 },
	{ "views are shared", views_are_shared, 0 },
	{ "views are not split", views_are_not_split, 0 },
	{ "views do not move", views_do_not_move, 0 },
	{ "pages cannot be pinned", pages_cannot_be_pinned, 0 },
	{ "advice changes nothing", advice_changes_nothing, 0 },
	{ "locking grants nothing", locking_grants_nothing, 0 },
	{ "views are not in core dumps and forks", views_are_not_in_core_dumps_and_forks, 0 },
	{},
};

const struct group mapping_group = { "mappings", tests };
