/* Sends on each of its connections, and sends again once all came back. `echo_load PORT CONNECTIONS BYTES SECONDS`
 * prints how many came back, how many each second, and the time that one in a hundred took longer than, in
 * milliseconds. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 64, ROOM = 65536, STEP_NS = 1000, STEPS = 1000000 };

static struct {
	long left, sent_ns;
} waiting[1024];
static unsigned taken[STEPS]; /* how many took so many microseconds */
static char room[ROOM];

static long now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000L + now.tv_nsec;
}

static void send_one(int connection, long size)
{
	waiting[connection].left = size;
	waiting[connection].sent_ns = now_ns();
	if (send(connection, room, (size_t)size, MSG_NOSIGNAL) != size) exit(3);
}

static double late_ms(long count)
{
	long rest = count - count / 100;
	for (long step = 0; step < STEPS; step++)
		if ((rest -= taken[step]) <= 0) return (step + 1) * 1e-3;
	return STEPS * 1e-3;
}

int main(int count, char **arguments)
{
	if (count != 5) return 2;
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(arguments[1])) };
	long connections = atol(arguments[2]), size = atol(arguments[3]), answered = 0;
	if (connections < 1 || connections > MOST || size < 1 || size > ROOM) return 2;
	name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int epoll = epoll_create1(0), one = 1;
	struct epoll_event found[MOST];
	for (long i = 0; i < connections; i++) {
		int connection = socket(AF_INET, SOCK_STREAM, 0);
		if (connect(connection, (struct sockaddr *)&name, sizeof name)) return 3;
		setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		struct epoll_event event = { .events = EPOLLIN, .data.fd = connection };
		epoll_ctl(epoll, EPOLL_CTL_ADD, connection, &event);
		send_one(connection, size);
	}
	long begun = now_ns(), end = begun + (long)(atof(arguments[4]) * 1e9), now = begun;
	while (now < end) {
		int ready = epoll_wait(epoll, found, MOST, 1000);
		now = now_ns();
		for (int i = 0; i < ready; i++) {
			int connection = found[i].data.fd;
			ssize_t got = recv(connection, room, sizeof room, 0);
			if (got <= 0) return 3;
			if ((waiting[connection].left -= got) > 0) continue;
			long step = (now - waiting[connection].sent_ns) / STEP_NS;
			taken[step < STEPS ? step : STEPS - 1]++;
			answered++;
			send_one(connection, size);
		}
	}
	printf("%ld %.1f %.4f\n", answered, answered * 1e9 / (double)(now - begun), late_ms(answered));
	return 0;
}
