/* A guest that asks for anything, with anything: numbers, descriptors, and addresses at every edge there is. What it may
 * ask for is random; that it goes on afterwards is not promised, since it has itself overwritten. */
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

long __tmebox_syscall(long number, const long arguments[6]);
long direct_call(long number, long a, long b, long c, long d, long e) __asm__("__tmebox_syscall");

static const uint64_t unchanging[512] = { 1, 2, 3 };
static uint64_t state;
static unsigned char room[4 << 20]; /* calls may write behind the part that is named: it is long */
static const char *const names[] = {
	"/ro/file", "/rw/file", "/rw", "/ro", "/", "/rw/../ro/file", "/rw/new", "/rw/link", "", "/dev/null", "/dev/full",
	"/etc/hosts", "/etc/passwd", "/rw/new/deeper", "/dev/stdin",
};

static uint64_t any(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	return state ^= state << 17;
}

static const short numbers[] = {
	SYS_read, SYS_write, SYS_open, SYS_close, SYS_stat, SYS_fstat, SYS_lstat, SYS_lseek, SYS_ioctl, SYS_pread64,
	SYS_pwrite64, SYS_readv, SYS_writev, SYS_access, SYS_pipe, SYS_pipe2, SYS_dup, SYS_dup2, SYS_dup3, SYS_getpid,
	SYS_sendfile, SYS_socket, SYS_connect, SYS_accept, SYS_accept4, SYS_sendto, SYS_recvfrom, SYS_sendmsg, SYS_recvmsg,
	SYS_shutdown, SYS_bind, SYS_listen, SYS_getsockname, SYS_getpeername, SYS_socketpair, SYS_setsockopt, SYS_getsockopt,
	SYS_uname, SYS_fcntl, SYS_fsync, SYS_truncate, SYS_ftruncate, SYS_getcwd, SYS_chdir, SYS_fchdir, SYS_rename,
	SYS_mkdir, SYS_rmdir, SYS_link, SYS_unlink, SYS_symlink, SYS_readlink, SYS_chmod, SYS_umask, SYS_gettimeofday,
	SYS_getrlimit, SYS_setrlimit, SYS_prlimit64, SYS_getrusage, SYS_sysinfo, SYS_times, SYS_statfs, SYS_fstatfs,
	SYS_getdents64, SYS_fadvise64, SYS_clock_gettime, SYS_clock_getres, SYS_epoll_wait, SYS_epoll_pwait, SYS_epoll_ctl,
	SYS_epoll_create1, SYS_openat, SYS_newfstatat, SYS_utimensat, SYS_timerfd_create, SYS_timerfd_settime,
	SYS_timerfd_gettime, SYS_eventfd2, SYS_preadv, SYS_pwritev, SYS_getrandom, SYS_madvise, SYS_fork, SYS_execve, 1000,
};
/* Those that the core answers, and that servers live from: asked for more often. */
static const short hot[] = {
	SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_pread64, SYS_recvfrom, SYS_sendto, SYS_sendfile, SYS_accept4,
	SYS_epoll_wait, SYS_epoll_ctl, SYS_setsockopt, SYS_ioctl, SYS_open, SYS_openat, SYS_fstat, SYS_close, SYS_clock_gettime,
};

/* Every edge: of the window's parts, of pages, of what may be written. */
static uint64_t address(void)
{
	static const uint64_t edges[] = {
		0, 1 << 20, TMEBOX_CONTROL_PAGE, TMEBOX_CONTROL_PAGE + TMEBOX_PAGE_SIZE, TMEBOX_PRIVATE_END, TMEBOX_ARENA_END,
		1UL << 30, 1UL << 31, 1UL << 32, 1UL << 47, 1UL << 63, 0, TMEBOX_GATE_HOSTCALL,
	};
	switch (any() % 8) {
	case 0:
		return edges[any() % COUNT(edges)] + any() % 33 - 16;
	case 1:
		return (uint64_t)unchanging + any() % 64;
	case 2:
		return (uint64_t)names[any() % COUNT(names)];
	case 3:
		return any() >> any() % 64;
	default:
		return (uint64_t)room + any() % (any() % 2 ? 64 : 65536);
	}
}

static uint64_t size(void)
{
	static const uint64_t sizes[] = { 0, 1, 2, 4, 8, 12, 16, 48, 128, 4095, 4096, 4097, 16384, 65536, 1 << 20, 1UL << 31,
		                          1UL << 32, 1UL << 63, UINT64_MAX };
	return any() % 16 ? sizes[any() % 12] : sizes[any() % COUNT(sizes)];
}

static uint64_t argument(int index)
{
	switch (any() % 8) {
	case 0:
	case 1:
		return index == 0 ? any() % 48 - 2 : address();
	case 2:
	case 3:
		return index == 1 ? address() : size();
	case 4:
		return any() % 48 - 2;
	case 5:
		return 1UL << any() % 64;
	case 6:
		return any();
	default:
		return any() % 16;
	}
}

/* Some stretches, for calls that take several. */
static void scatter(long number, long *arguments)
{
	static uint64_t stretches[18][2];
	if ((number != SYS_readv && number != SYS_writev) || any() % 4 == 0) return;
	uint64_t count = any() % COUNT(stretches);
	for (uint64_t i = 0; i < count; i++) {
		stretches[i][0] = any() % 8 ? (uint64_t)room + any() % 65536 : address();
		stretches[i][1] = any() % 8 ? any() % 4000 : size();
	}
	arguments[1] = (long)stretches;
	arguments[2] = count;
}

/* What would wait, waits not: that is tried elsewhere, and takes its time. */
static void hurry(long number, long *arguments)
{
	switch (number) {
	case SYS_socket:
	case SYS_socketpair:
		arguments[1] = SOCK_STREAM | SOCK_NONBLOCK | (any() % 2 ? SOCK_CLOEXEC : 0);
		if (any() % 4) arguments[0] = any() % 2 ? AF_INET : AF_UNIX, arguments[2] = 0;
		break;
	case SYS_accept4:
		arguments[3] |= SOCK_NONBLOCK;
		break;
	case SYS_pipe2:
	case SYS_eventfd2:
	case SYS_timerfd_create:
		arguments[1] |= O_NONBLOCK;
		break;
	case SYS_epoll_wait:
	case SYS_epoll_pwait:
		arguments[3] = 0;
		break;
	case SYS_fcntl:
		if (arguments[1] == F_SETFL) arguments[2] |= O_NONBLOCK;
		if (arguments[1] == F_SETLKW) arguments[1] = F_SETLK;
		break;
	case SYS_ioctl:
		arguments[1] = any() % 2 ? 0x541b : 0x5413;
		break;
	case SYS_madvise:
		arguments[1] = 0;
		break;
	}
}

/* Descriptors from here on are the guest's own. */
long prepare(int port)
{
	static const long none[6] = { 0 };
	struct {
		unsigned short family, port;
		unsigned address, rest[2];
	} name = { AF_INET, (unsigned short)(port >> 8 | port << 8), 0x0100007f, { 0 } };
	long server = __tmebox_syscall(SYS_socket, (long[6]){ AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0 });
	__tmebox_syscall(SYS_bind, (long[6]){ server, (long)&name, 16 });
	__tmebox_syscall(SYS_listen, (long[6]){ server, 16 });
	__tmebox_syscall(SYS_epoll_create1, none);
	__tmebox_syscall(SYS_open, (long[6]){ (long)"/ro/file", O_RDONLY });
	return server;
}

static int crowded; /* whether other threads take turns with this one */

static void ask(void)
{
	long number = any() % 3 ? hot[any() % COUNT(hot)] : numbers[any() % COUNT(numbers)], arguments[6];
	for (int index = 0; index < 6; index++) arguments[index] = argument(index);
	hurry(number, arguments);
	scatter(number, arguments);
	/* streams stay: they are where the host listens */
	if (number == SYS_close && arguments[0] < 3) return;
	if (crowded) /* turns end between calls */
		for (unsigned left = any() % 16384; left; left--) any();
	if (any() % 2) {
		__tmebox_syscall(number, any() % 64 ? arguments : (const long *)address());
	} else {
		direct_call(TMEBOX_SYS_DIRECT + (any() % 64 ? number : (long)(any() % 600)), arguments[0], arguments[1],
		            arguments[2], arguments[3], arguments[4]);
	}
}

/* How many calls were made; less than `count` cannot be, or it has written over itself. */
long fuzz(unsigned long seed, long count)
{
	state = seed * 2654435761u + 88172645463325252u;
	for (long i = 0; i < count; i++) ask();
	return count;
}

static volatile long steps, asked;

static void *compute(void *nothing)
{
	for (;;) steps++;
	return nothing;
}

static void *ask_on(void *nothing)
{
	for (;;) ask(), asked++;
	return nothing;
}

/* Two threads beside `fuzz`, one of which asks for as much. Nobody yields, and calls that the C library knows nothing of end
 * no turn: turns end by time alone. */
int crowd(void)
{
	pthread_t threads[2];
	crowded = 1;
	return pthread_create(&threads[0], NULL, compute, NULL) | pthread_create(&threads[1], NULL, ask_on, NULL);
}

/* What the other threads have done so far; 0 while one of them has done nothing. */
long done_beside(void)
{
	return steps ? asked : 0;
}

/* Whether nothing has written what nobody may. */
int intact(void)
{
	for (unsigned i = 3; i < COUNT(unchanging); i++)
		if (unchanging[i]) return 0;
	return unchanging[0] == 1 && unchanging[1] == 2 && unchanging[2] == 3;
}
