/* An echo server: one process, epoll, sockets that do not wait. `echo PORT` */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 64, ROOM = 65536 };

static char room[ROOM];

/* 0 when the connection is over. */
static int echo(int connection)
{
	ssize_t got = read(connection, room, sizeof room);
	if (got < 0) return errno == EAGAIN;
	for (ssize_t done = 0; done < got;) {
		ssize_t put = write(connection, room + done, (size_t)(got - done));
		if (put < 0 && errno != EAGAIN) return 0;
		done += put > 0 ? put : 0;
	}
	return got > 0;
}

int main(int count, char **arguments)
{
	if (count != 2) return 2;
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(arguments[1])) };
	name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int server = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1, epoll = epoll_create1(0);
	setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(server, (struct sockaddr *)&name, sizeof name) || listen(server, 64)) {
		perror("echo");
		return 1;
	}
	struct epoll_event event = { .events = EPOLLIN, .data.fd = server }, found[EVENTS];
	epoll_ctl(epoll, EPOLL_CTL_ADD, server, &event);
	for (;;) {
		int ready = epoll_wait(epoll, found, EVENTS, -1);
		for (int i = 0; i < ready; i++) {
			int connection = found[i].data.fd;
			if (connection != server) {
				if (!echo(connection)) close(connection);
				continue;
			}
			connection = accept4(server, NULL, NULL, SOCK_NONBLOCK);
			if (connection < 0) continue;
			setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
			event = (struct epoll_event){ .events = EPOLLIN, .data.fd = connection };
			epoll_ctl(epoll, EPOLL_CTL_ADD, connection, &event);
		}
	}
}
