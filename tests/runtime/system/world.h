/* What world.c and world_at_rest.c share: the latter's sections, and how an answer is shown. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

__attribute__((unused)) static const char *named(long result)
{
	static char text[4][80];
	static int next;
	char *here = text[next++ % 4];
	if (result >= 0) snprintf(here, 80, "%ld", result);
	else snprintf(here, 80, "%s", strerror(errno));
	return here;
}
#define SAY(call) printf("%s: %s\n", #call, named(call))

void limits(void);
void files(void);
void devices(void);
void names(void);
void times(void);
void broken_pipes(void);
