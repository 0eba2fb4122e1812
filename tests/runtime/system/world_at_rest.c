/* The sections of world.c that wait for nobody: limits, files, devices, names and times. */
#include "world.h"

void limits(void)
{
	struct rlimit limit, lower;
	struct rusage usage;
	SAY(getrlimit(RLIMIT_NOFILE, &limit));
	lower = limit;
	lower.rlim_cur = 20;
	SAY(setrlimit(RLIMIT_NOFILE, &lower));
	int last = 0, number;
	while ((number = open("/dev/null", O_RDONLY)) >= 0) last = number;
	printf("%d %s\n", last, strerror(errno));
	for (number = 3; number <= last; number++) close(number);
	SAY(setrlimit(RLIMIT_NOFILE, &limit));
	lower.rlim_cur = 5;
	lower.rlim_max = 4;
	SAY(setrlimit(RLIMIT_NOFILE, &lower));
	SAY(getrlimit(99, &limit));
	SAY(getrusage(RUSAGE_SELF, &usage));
	printf("%d\n", usage.ru_utime.tv_sec >= 0);
	SAY(getrusage(99, &usage));
}

void files(void)
{
	struct stat status;
	struct statvfs system;
	char target[32] = "";
	int file = open("made", O_RDWR | O_CREAT | O_EXCL, 0644);
	SAY(write(file, "some text", 9));
	SAY(link("made", "linked"));
	SAY(symlink("made", "soft"));
	SAY(readlink("soft", target, sizeof target));
	puts(target);
	SAY(lstat("soft", &status));
	printf("%d\n", S_ISLNK(status.st_mode));
	SAY(stat("linked", &status));
	printf("%ld %ld\n", (long)status.st_nlink, (long)status.st_size);
	struct timespec times[2] = { { 1000, 5 }, { 2000, 7 } };
	SAY(utimensat(AT_FDCWD, "made", times, 0));
	SAY(fstat(file, &status));
	printf("%ld %ld\n", (long)status.st_mtim.tv_sec, (long)status.st_mtim.tv_nsec);
	times[0].tv_nsec = UTIME_OMIT;
	times[1].tv_nsec = 1999999999;
	SAY(futimens(file, times));
	SAY(statvfs(".", &system));
	printf("%d\n", system.f_bsize > 0 && system.f_namemax >= 255);
	SAY(fstatvfs(file, &system));
	SAY(fcntl(file, F_GETFL));
	SAY(fcntl(file, F_DUPFD, 40));
	SAY(fcntl(40, F_SETFD, FD_CLOEXEC));
	SAY(fcntl(40, F_GETFD));
	SAY(fcntl(99, F_GETFD));
	SAY(fcntl(file, 9999));
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	SAY(fcntl(file, F_SETLK, &lock));
	SAY(link("none", "other"));
	SAY(link("made", "linked"));
	SAY(symlink("x", "soft"));
	SAY(unlink("linked"));
	SAY(rename("made", "renamed"));
	SAY(access("renamed", R_OK | W_OK));
	SAY(access("made", F_OK));
	SAY(chmod("renamed", 0400));
	SAY(stat("renamed", &status));
	printf("%o\n", status.st_mode & 0777);
	SAY(ftruncate(file, 4));
	SAY(lseek(file, 0, SEEK_END));
	SAY(pread(file, target, 8, 1));
	SAY(pread(file, target, 8, -1));
	close(40);
	close(file);
}

void devices(void)
{
	static const char *const names[] = { "/dev/null", "/dev/zero", "/dev/urandom", "/dev/full", "/dev/stdin", "/dev/tty" };
	for (int i = 0; i < 5; i++) {
		struct stat status = { 0 };
		char bytes[4] = { 1, 1, 1, 1 };
		printf("%s:", names[i]);
		printf(" stat %s", named(stat(names[i], &status)));
		if (i < 4) printf(" device %d", S_ISCHR(status.st_mode));
		int device = open(names[i], i < 4 ? O_RDWR : O_RDONLY);
		printf(" open %d", device >= 0);
		printf(" read %s", named(read(device, bytes, 4)));
		if (i < 4) printf(" write %s", named(write(device, "abcd", 4)));
		if (i == 1) printf(" zeros %d", bytes[0] + bytes[1] + bytes[2] + bytes[3]);
		putchar('\n');
		close(device);
	}
}

void names(void)
{
	struct passwd *account = getpwnam("root");
	printf("root %d %d\n", account != NULL, account ? (int)account->pw_uid : -1);
	account = getpwuid(0);
	printf("%s\n", account ? account->pw_name : "none");
	printf("%d\n", getpwnam("nobody") != NULL);
	printf("%d\n", getpwnam("there is none") == NULL);
	struct group *group = getgrnam("root");
	printf("%d\n", group ? (int)group->gr_gid : -1);
	printf("%d\n", getgrgid(0) != NULL);
	printf("%d\n", getpwuid(getuid()) != NULL);
	struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM }, *found = NULL;
	printf("%d\n", getaddrinfo("localhost", "80", &hints, &found));
	if (found) {
		struct sockaddr_in *address = (struct sockaddr_in *)found->ai_addr;
		printf("%x %d\n", ntohl(address->sin_addr.s_addr), ntohs(address->sin_port));
		freeaddrinfo(found);
	}
	printf("%d\n", getaddrinfo("127.0.0.1", "http", &hints, &found) == 0);
	printf("%d\n", gethostbyname("localhost") != NULL);
}

void times(void)
{
	struct timespec now, later, resolution, wrong = { 0, -1 };
	struct timeval day;
	SAY(clock_gettime(CLOCK_MONOTONIC, &now));
	SAY(clock_gettime(CLOCK_REALTIME, &later));
	printf("%d\n", later.tv_sec > 1700000000);
	SAY(clock_gettime(CLOCK_MONOTONIC, &later));
	printf("%d\n", later.tv_sec > now.tv_sec || later.tv_nsec >= now.tv_nsec);
	SAY(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now));
	SAY(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now));
	SAY(clock_gettime(CLOCK_MONOTONIC_COARSE, &now));
	SAY(clock_gettime(12345, &now));
	SAY(clock_gettime(-1, &now));
	SAY(clock_getres(CLOCK_MONOTONIC, &resolution));
	SAY(gettimeofday(&day, NULL));
	SAY(nanosleep(&wrong, NULL));
	SAY(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &now, NULL));
	printf("%d\n", time(NULL) == day.tv_sec || time(NULL) == day.tv_sec + 1);
}

/* -- what nobody reads --------------------------------------------------------------------------------------- */
static int broken;

static void on_broken(int signal)
{
	broken += signal == SIGPIPE;
}

#define BREAK(call) SAY(call), printf("signals: %d\n", broken)

void broken_pipes(void)
{
	int ends[2], pair[2];
	struct iovec out = { "x", 1 };
	struct msghdr message = { .msg_iov = &out, .msg_iovlen = 1 };
	sigset_t set;
	signal(SIGPIPE, on_broken);
	pipe(ends), close(ends[0]);
	socketpair(AF_UNIX, SOCK_STREAM, 0, pair), close(pair[0]);
	BREAK(write(ends[1], "x", 1));
	BREAK(writev(ends[1], &out, 1));
	BREAK(write(pair[1], "x", 1));
	BREAK(send(pair[1], "x", 1, 0));
	BREAK(send(pair[1], "x", 1, MSG_NOSIGNAL));
	BREAK(sendmsg(pair[1], &message, 0));
	BREAK(sendmsg(pair[1], &message, MSG_NOSIGNAL));
	signal(SIGPIPE, SIG_IGN);
	BREAK(write(ends[1], "x", 1));
	signal(SIGPIPE, on_broken);
	sigemptyset(&set), sigaddset(&set, SIGPIPE);
	sigprocmask(SIG_BLOCK, &set, NULL);
	BREAK(write(ends[1], "x", 1));
	sigpending(&set);
	printf("waits: %d\n", sigismember(&set, SIGPIPE));
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	printf("signals: %d\n", broken);
	close(ends[1]), close(pair[1]);
}
