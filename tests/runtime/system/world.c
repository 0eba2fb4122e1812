/* What programs ask of a system beyond files: one section each. Prints what does not depend on the machine, so that a
 * native run and a sandboxed one can be compared line by line. Runs in an empty directory that it may write to. */
#include "world.h"

static void pipes(void)
{
	int ends[2];
	char buffer[16] = "";
	SAY(pipe2(ends, O_NONBLOCK | O_CLOEXEC));
	SAY(read(ends[0], buffer, 16));
	SAY(write(ends[1], "hello", 5));
	SAY(write(ends[0], "x", 1));
	SAY(read(ends[1], buffer, 16));
	SAY(fcntl(ends[0], F_GETFD));
	printf("%d\n", (fcntl(ends[0], F_GETFL) & (O_NONBLOCK | O_ACCMODE)) == (O_NONBLOCK | O_RDONLY));
	int unread = -1;
	SAY(ioctl(ends[0], FIONREAD, &unread));
	printf("unread %d\n", unread);
	SAY(read(ends[0], buffer, 3));
	printf("%.3s\n", buffer);
	SAY(lseek(ends[0], 0, SEEK_SET));
	close(ends[1]);
	SAY(read(ends[0], buffer, 16));
	SAY(read(ends[0], buffer, 16));
	close(ends[0]);
	signal(SIGPIPE, SIG_IGN);
	pipe(ends);
	close(ends[0]);
	SAY(write(ends[1], "x", 1));
	close(ends[1]);
	SAY(close(ends[1]));
}

static void vectors(void)
{
	int ends[2];
	char one[3] = "", two[5] = "";
	SAY(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	struct iovec out[2] = { { "abc", 3 }, { "defg", 4 } }, in[2] = { { one, 2 }, { two, 5 } };
	SAY(writev(ends[0], out, 2));
	SAY(readv(ends[1], in, 2));
	printf("%.2s %.5s\n", one, two);
	struct msghdr message = { .msg_iov = out, .msg_iovlen = 2 };
	SAY(sendmsg(ends[1], &message, MSG_NOSIGNAL));
	message.msg_iov = in;
	SAY(recvmsg(ends[0], &message, 0));
	printf("%d %zu\n", message.msg_flags, (size_t)message.msg_controllen);
	SAY(writev(ends[0], out, -1));
	SAY(writev(ends[0], NULL, 0));
	SAY(send(ends[0], "peek", 4, 0));
	SAY(recv(ends[1], two, 4, MSG_PEEK));
	SAY(recv(ends[1], two, 4, MSG_DONTWAIT));
	SAY(recv(ends[1], two, 4, MSG_DONTWAIT));
	SAY(shutdown(ends[0], SHUT_WR));
	SAY(recv(ends[1], two, 4, 0));
	SAY(shutdown(ends[0], 9));
	close(ends[0]);
	SAY(send(ends[1], "x", 1, MSG_NOSIGNAL));
	close(ends[1]);
	SAY(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends));
	SAY(send(ends[0], "one", 3, 0));
	SAY(send(ends[0], "three", 5, 0));
	SAY(recv(ends[1], two, 2, 0));
	SAY(recv(ends[1], two, 5, 0));
	close(ends[0]);
	close(ends[1]);
	SAY(socketpair(AF_INET, SOCK_STREAM, 0, ends));
}

static void events(void)
{
	uint64_t count = 5;
	int event = eventfd(2, EFD_NONBLOCK);
	SAY(write(event, &count, 8));
	SAY(read(event, &count, 8));
	printf("%lu\n", (unsigned long)count);
	SAY(read(event, &count, 8));
	SAY(read(event, &count, 4));
	count = UINT64_MAX;
	SAY(write(event, &count, 8));
	int semaphore = eventfd(2, EFD_SEMAPHORE);
	SAY(read(semaphore, &count, 8));
	printf("%lu\n", (unsigned long)count);
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	struct itimerspec soon = { { 0, 1000000 }, { 0, 1000000 } }, left;
	SAY(timerfd_settime(timer, 0, &soon, NULL));
	SAY(read(timer, &count, 8));
	printf("%d\n", count >= 1);
	SAY(timerfd_gettime(timer, &left));
	printf("%ld\n", left.it_interval.tv_nsec);
	SAY(timerfd_create(12345, 0));
	int epoll = epoll_create1(0);
	struct epoll_event wanted = { EPOLLIN, { .u64 = 77 } }, found[4];
	SAY(epoll_ctl(epoll, EPOLL_CTL_ADD, semaphore, &wanted));
	SAY(epoll_ctl(epoll, EPOLL_CTL_ADD, semaphore, &wanted));
	SAY(epoll_ctl(epoll, EPOLL_CTL_MOD, event, &wanted));
	SAY(epoll_ctl(epoll, EPOLL_CTL_DEL, 99, NULL));
	SAY(epoll_wait(epoll, found, 4, 0));
	printf("%lu %u\n", (unsigned long)found[0].data.u64, found[0].events);
	SAY(read(semaphore, &count, 8));
	SAY(epoll_wait(epoll, found, 4, 1));
	SAY(epoll_wait(epoll, found, 0, 1));
	SAY(epoll_wait(event, found, 4, 1));
	SAY(epoll_create(0));
	struct pollfd polled[3] = { { event, POLLIN | POLLOUT }, { 99, POLLIN }, { -1, POLLIN } };
	SAY(poll(polled, 3, 0));
	printf("%d %d %d\n", polled[0].revents, polled[1].revents, polled[2].revents);
	SAY(poll(NULL, 0, 1));
	fd_set reads, writes;
	FD_ZERO(&reads);
	FD_ZERO(&writes);
	FD_SET(event, &reads);
	FD_SET(event, &writes);
	struct timeval none = { 0, 0 };
	SAY(select(event + 1, &reads, &writes, NULL, &none));
	printf("%d %d\n", FD_ISSET(event, &reads) != 0, FD_ISSET(event, &writes) != 0);
	FD_ZERO(&reads);
	FD_SET(99, &reads);
	SAY(select(100, &reads, NULL, NULL, &none));
	close(epoll);
	close(timer);
	close(event);
	close(semaphore);
}

static void network(int port)
{
	int one = 1, value = 0, server = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t size = sizeof value;
	struct sockaddr_in here = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = { htonl(INADDR_LOOPBACK) } }, name;
	socklen_t name_size = sizeof name;
	SAY(setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one));
	SAY(bind(server, (struct sockaddr *)&here, sizeof here));
	SAY(bind(server, (struct sockaddr *)&here, sizeof here));
	SAY(listen(server, 5));
	SAY(fcntl(server, F_SETFL, O_NONBLOCK));
	SAY(accept4(server, NULL, NULL, 0));
	SAY(accept4(server, NULL, NULL, 1));
	SAY(getsockopt(server, SOL_SOCKET, SO_TYPE, &value, &size));
	printf("%d %u\n", value == SOCK_STREAM, size);
	SAY(getsockopt(server, SOL_SOCKET, SO_ACCEPTCONN, &value, &size));
	printf("%d\n", value);
	int client = socket(AF_INET, SOCK_STREAM, 0);
	SAY(send(client, "x", 1, MSG_NOSIGNAL));
	SAY(connect(client, (struct sockaddr *)&here, sizeof here));
	SAY(connect(client, (struct sockaddr *)&here, sizeof here));
	struct pollfd ready = { server, POLLIN };
	SAY(poll(&ready, 1, 1000));
	int served = accept4(server, (struct sockaddr *)&name, &name_size, SOCK_NONBLOCK | SOCK_CLOEXEC);
	printf("%d %u %x\n", served >= 0, name_size, ntohl(name.sin_addr.s_addr));
	SAY(getpeername(client, (struct sockaddr *)&name, &name_size));
	printf("%d\n", ntohs(name.sin_port) == port);
	SAY(setsockopt(served, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one));
	SAY(getsockopt(served, IPPROTO_TCP, TCP_NODELAY, &value, &size));
	printf("%d\n", value != 0);
	SAY(setsockopt(served, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one));
	struct linger off = { 0, 0 };
	SAY(setsockopt(served, SOL_SOCKET, SO_LINGER, &off, sizeof off));
	SAY(setsockopt(served, SOL_SOCKET, 9999, &one, sizeof one));
	SAY(getsockopt(served, SOL_SOCKET, SO_ERROR, &value, &size));
	char buffer[64];
	SAY(recv(served, buffer, 64, 0));
	int file = open("sent", O_RDWR | O_CREAT | O_TRUNC, 0600);
	SAY(write(file, "0123456789", 10));
	off_t at = 3;
	SAY(sendfile(served, file, &at, 4));
	printf("%ld\n", (long)at);
	SAY(lseek(file, 8, SEEK_SET));
	SAY(sendfile(served, file, NULL, 100));
	SAY(lseek(file, 0, SEEK_CUR));
	SAY(recv(client, buffer, 6, MSG_WAITALL));
	printf("%.6s\n", buffer);
	SAY(sendfile(served, 99, NULL, 1));
	SAY(sendfile(served, client, NULL, 1));
	close(client);
	ready = (struct pollfd){ served, POLLIN };
	SAY(poll(&ready, 1, 1000));
	SAY(recv(served, buffer, 64, 0));
	SAY(listen(served, 1));
	SAY(accept(file, NULL, NULL));
	SAY(getpeername(server, (struct sockaddr *)&name, &name_size));
	close(served);
	close(server);
	close(file);
}

static void by_path(const char *path)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX }, told = { 0 };
	socklen_t size = sizeof told;
	strcpy(name.sun_path, path);
	int server = socket(AF_UNIX, SOCK_STREAM, 0);
	SAY(bind(server, (struct sockaddr *)&name, sizeof name));
	SAY(listen(server, 1));
	int client = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	SAY(connect(client, (struct sockaddr *)&name, sizeof name));
	SAY(connect(client, (struct sockaddr *)&name, sizeof name));
	int served = accept4(server, (struct sockaddr *)&told, &size, 0);
	printf("%d %u %d\n", served >= 0, size, told.sun_family);
	size = sizeof told;
	SAY(getsockname(server, (struct sockaddr *)&told, &size));
	printf("%d %d\n", strcmp(told.sun_path, path), size == 2 + strlen(path) + 1);
	SAY(write(client, "by path", 7));
	char buffer[16] = "";
	SAY(read(served, buffer, 16));
	puts(buffer);
	SAY(read(client, buffer, 16));
	close(served);
	SAY(read(client, buffer, 16));
	close(client);
	close(server);
}

static int alarms;
static void on_alarm(int signal)
{
	alarms += signal == SIGALRM;
}

static void signals(void)
{
	struct sigaction action = { .sa_handler = on_alarm }, old;
	SAY(sigaction(SIGALRM, &action, NULL));
	SAY(sigaction(SIGALRM, NULL, &old));
	printf("%d\n", old.sa_handler == on_alarm);
	SAY(sigaction(SIGKILL, &action, NULL));
	SAY(sigaction(99, &action, NULL));
	SAY(alarm(10));
	SAY(alarm(0));
	struct itimerval soon = { { 0, 0 }, { 0, 20000 } }, left;
	SAY(setitimer(ITIMER_REAL, &soon, NULL));
	SAY(pause());
	printf("alarms %d\n", alarms);
	SAY(getitimer(ITIMER_REAL, &left));
	printf("%ld %ld\n", (long)left.it_value.tv_sec, (long)left.it_value.tv_usec);
	int ends[2];
	char byte;
	pipe(ends);
	soon.it_value.tv_usec = 20000;
	setitimer(ITIMER_REAL, &soon, NULL);
	SAY(read(ends[0], &byte, 1));
	close(ends[0]);
	close(ends[1]);
	sigset_t set, before;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	SAY(sigprocmask(SIG_BLOCK, &set, &before));
	action.sa_handler = SIG_IGN;
	signal(SIGUSR1, on_alarm);
	raise(SIGUSR1);
	SAY(sigpending(&set));
	printf("%d\n", sigismember(&set, SIGUSR1));
	SAY(sigprocmask(SIG_SETMASK, &before, NULL));
	static char room[16384];
	stack_t stack = { .ss_sp = room, .ss_size = sizeof room }, was;
	SAY(sigaltstack(&stack, &was));
	printf("%d\n", was.ss_flags == SS_DISABLE);
	SAY(sigaltstack(NULL, &was));
	printf("%d %zu\n", was.ss_sp == room, was.ss_size);
	stack.ss_size = 16;
	SAY(sigaltstack(&stack, NULL));
	SAY(kill(getpid(), 0));
	SAY(kill(getpid(), 99));
}

int main(int count, char **arguments)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	if (count < 4 || chdir(arguments[3])) return 2;
	puts("# pipes"), pipes();
	puts("# vectors"), vectors();
	puts("# events"), events();
	puts("# network"), network(atoi(arguments[1]));
	puts("# by_path"), by_path(arguments[2]);
	puts("# signals"), signals();
	puts("# limits"), limits();
	puts("# files"), files();
	puts("# devices"), devices();
	puts("# names"), names();
	puts("# times"), times();
	puts("# broken_pipes"), broken_pipes();
	return 0;
}
