/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* No process reaches another's pages or keys. */
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "guest.h"

static void in_a_child(void (*run)(int, uint32_t, volatile uint64_t *), int fd, uint32_t key,
		       volatile uint64_t *own)
{
	pid_t child;
	int status;

	fflush(stdout);
	child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		run(fd, key, own);
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child);
	CHECK_EQUAL(status, 0);
}

static void use_inherited(int fd, uint32_t key, volatile uint64_t *own)
{
	struct tmebox_info info = info_of(fd);	/* tells nothing of a process */
	uint32_t number;

	CHECK(info.version == TMEBOX_VERSION);
	CHECK_EQUAL(read_at(own), SIGSEGV);
	CHECK_ERROR(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, TMEBOX_OFFSET(key, 0)), EPERM);
	CHECK_ERROR(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0), EPERM);
	CHECK_ERROR(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, TMEBOX_ALIAS), EPERM);
	CHECK_ERROR(create(fd, 1), EPERM);
	CHECK_ERROR(key_alloc(fd, &number), EPERM);
	CHECK_ERROR(key_free(fd, key), EPERM);
	CHECK_ERROR(grant(fd, key, 0, 1, RW), EPERM);
	CHECK_ERROR(revoke_range(fd, key, 0, 1, RW), EPERM);
	CHECK_ERROR(flush(fd, key, 0, 1), EPERM);
	CHECK_ERROR(move(fd, 0, 0, 1), EPERM);
	CHECK_ERROR(discard(fd, 0, 1), EPERM);
}

static void a_forked_child_has_nothing(void)
{
	int fd = device_with(4);
	uint32_t key = new_key(fd);
	volatile uint64_t *own = view(fd, key, 0, 4, PROT_READ | PROT_WRITE);

	CHECK(!give(fd, key, 0, 4, RW));
	own[0] = 1;
	in_a_child(use_inherited, fd, key, own);
	madvise((void *)own, 4 * PAGE, MADV_DOFORK);
	in_a_child(use_inherited, fd, key, own);
	CHECK_EQUAL(own[0], 1);
}

/* To a process that had it neither open nor mapped when it began. */
static void a_descriptor_that_was_sent_gives_nothing(void)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {};
	struct iovec byte = { "", 1 };
	struct msghdr message = { .msg_iov = &byte, .msg_iovlen = 1, .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	int ends[2], status, fd, received = -1;
	uint32_t key;
	volatile uint64_t *own;
	pid_t child;

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	fflush(stdout);
	child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		char place;

		byte.iov_base = &place;
		CHECK(recvmsg(ends[1], &message, 0) == 1 && CMSG_FIRSTHDR(&message));
		memcpy(&received, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(received));
		/* Not there: a fault at an address that was never mapped. */
		use_inherited(received, 1, (volatile uint64_t *)PAGE);
		_exit(0);
	}
	fd = device_with(4);
	key = new_key(fd);
	own = view(fd, key, 0, 4, PROT_READ | PROT_WRITE);
	CHECK(!give(fd, key, 0, 4, RW));
	own[0] = 1;
	control.header = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET,
					   .cmsg_type = SCM_RIGHTS };
	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	CHECK(sendmsg(ends[0], &message, 0) == 1);
	CHECK(waitpid(child, &status, 0) == child);
	CHECK_EQUAL(status, 0);
	CHECK_EQUAL(own[0], 1);
}

static void use_others_key(int fd, uint32_t key, volatile uint64_t *own)
{
	int mine = device_with(4);
	uint32_t my_key = new_key(mine);

	(void)fd;
	(void)own;
	CHECK(my_key != key);
	CHECK_ERROR(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, mine, TMEBOX_OFFSET(key, 0)), ENOENT);
	CHECK_ERROR(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, mine, TMEBOX_ALIAS | TMEBOX_OFFSET(key, 0)), ENOENT);
	CHECK_ERROR(grant(mine, key, 0, 1, RW), ENOENT);
	CHECK_ERROR(grant(mine, key, 0, 1, TMEBOX_OWNER), ENOENT);
	CHECK_ERROR(revoke_range(mine, key, 0, 1, RW), ENOENT);
	CHECK_ERROR(flush(mine, key, 0, 1), ENOENT);
	CHECK_ERROR(move(mine, key, 0, 1), ENOENT);
	CHECK_ERROR(key_free(mine, key), ENOENT);
}

static void keys_are_of_the_file_that_got_them(void)
{
	int fd = device_with(4);
	uint32_t key = new_key(fd);
	volatile uint64_t *own = view(fd, key, 0, 4, PROT_READ | PROT_WRITE);

	CHECK(!give(fd, key, 0, 4, RW));
	own[0] = 1;
	use_others_key(fd, key, own);
	in_a_child(use_others_key, fd, key, own);
	CHECK_EQUAL(own[0], 1);
}

static void heaps_are_of_the_file_that_made_them(void)
{
	int a = device_with(4), b = device_with(4);
	volatile uint64_t *one = view(a, 0, 0, 4, PROT_READ | PROT_WRITE);
	volatile uint64_t *two = view(b, 0, 0, 4, PROT_READ | PROT_WRITE);
	uint32_t key = new_key(a);

	one[0] = 1;
	two[0] = 2;
	CHECK_EQUAL(one[0], 1);
	/* What is taken away in one is not taken away in the other. */
	CHECK(!move(a, key, 0, 1));
	if (has_monitor()) {
		CHECK(entry_of(two) != 0);
		CHECK_EQUAL(entry_of(one), 0);
	}
	CHECK_EQUAL(one[0], 1);
	CHECK_EQUAL(two[0], 2);
}

/* A descriptor for reading tells what the device can, and nothing else. */
static void reading_descriptors_do_nothing(void)
{
	int fd = open("/dev/tmebox", O_RDONLY);
	uint32_t key;

	CHECK(fd >= 0);
	CHECK(info_of(fd).version == TMEBOX_VERSION);
	CHECK_ERROR(create(fd, 4), EBADF);
	CHECK_ERROR(key_alloc(fd, &key), EBADF);
	CHECK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED);
}

static void only_root_opens_the_device(void)
{
	struct stat status;

	CHECK(!stat("/dev/tmebox", &status));
	CHECK_EQUAL(status.st_mode & 07777, 0600);
	CHECK_EQUAL(status.st_uid, 0);
	CHECK(!setgid(1000) && !setuid(1000));
	CHECK_ERROR(open("/dev/tmebox", O_RDWR), EACCES);
	CHECK_ERROR(open("/dev/tmebox", O_RDONLY), EACCES);
}

/* Who may not lock memory at will is bounded: it is memory that cannot be swapped. */
static void memory_is_accounted(void)
{
	struct rlimit limit = { 16 * PAGE, 16 * PAGE };
	int a = device(), b = device();

	CHECK(!setrlimit(RLIMIT_MEMLOCK, &limit));
	CHECK(!setgid(1000) && !setuid(1000));
	CHECK_ERROR(create(a, 17), ENOMEM);
	CHECK(!create(a, 10));
	CHECK_ERROR(create(b, 7), ENOMEM);
	close(a);
	CHECK(!create(b, 16));
}

static int on_a_clone(void *argument)
{
	int fd = *(int *)argument;

	CHECK_ERROR(create(fd, 4), EPERM);
	return 0;
}

/* The parent ends; its address space is not the child's. */
static void a_descriptor_outlives_its_process_without_use(void)
{
	int fd = device_with(16);
	uint32_t key = new_key(fd);
	static char stack[1 << 16];
	int status;

	CHECK(!grant(fd, key, 0, 16, RW));
	CHECK(clone(on_a_clone, stack + sizeof(stack), SIGCHLD | CLONE_FILES, &fd) > 0);
	CHECK(wait(&status) > 0);
	CHECK_EQUAL(status, 0);
}

static const struct test tests[] = {
	{ "a forked child has nothing", a_forked_child_has_nothing, 0 },
	{ "a descriptor that was sent gives nothing", a_descriptor_that_was_sent_gives_nothing, 0 },
	{ "keys are of the file that got them", keys_are_of_the_file_that_got_them, 0 },
	{ "heaps are of the file that made them", heaps_are_of_the_file_that_made_them, 0 },
	{ "reading descriptors do nothing", reading_descriptors_do_nothing, 0 },
	{ "only root opens the device", only_root_opens_the_device, 0 },
	{ "memory is accounted", memory_is_accounted, 0 },
	{ "a descriptor in another process has no use", a_descriptor_outlives_its_process_without_use, 0 },
	{},
};

const struct group process_group = { "processes", tests };
