/* What a server does with each connection, without Python: accepting it, watching it, an option or two. Where it may
 * listen was decided in Python, which has bound and listened. */
#include "enter/datapath.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static const bool PYTHON = false;

static bool done(int64_t *result, int64_t value) {
    *result = value;
    return true;
}

/* Who connected, as far as a guest is told: neither flow nor interface nor path of the host. */
static socklen_t told(struct sockaddr_storage *peer) {
    if (peer->ss_family == AF_INET6) {
        struct sockaddr_in6 *name = (struct sockaddr_in6 *)peer;
        name->sin6_flowinfo = name->sin6_scope_id = 0;
        return sizeof *name;
    }
    if (peer->ss_family == AF_UNIX) {
        return sizeof peer->ss_family;
    }
    memset(((struct sockaddr_in *)peer)->sin_zero, 0, sizeof ((struct sockaddr_in *)peer)->sin_zero);
    return sizeof(struct sockaddr_in);
}

bool tmebox_guest_accept(const struct guest_call *call, bool with_flags, int64_t *result) {
    const struct instance *instance = call->instance;
    const struct guest_descriptor *listener = tmebox_guest_find(call, call->arguments[0], GUEST_LISTENS);
    uint64_t name_at = (uint64_t)call->arguments[1], size_at = (uint64_t)call->arguments[2];
    int64_t flags = with_flags ? call->arguments[3] : 0;
    uint32_t room = 0;
    if (listener == NULL || flags & ~(int64_t)(SOCK_NONBLOCK | SOCK_CLOEXEC)) {
        return PYTHON;
    }
    if (name_at != 0 && (!tmebox_guest_copy_in(instance, &room, size_at, sizeof room) || room > 1u << 31 ||
                         !tmebox_guest_is_writable(instance, size_at, sizeof room) ||
                         !tmebox_guest_is_writable(instance, name_at, room < 128 ? room : 128))) {
        return PYTHON;
    }
    int64_t number;
    struct guest_descriptor *row = tmebox_guest_new_row(call->all, &number);
    if (row == NULL) {
        return PYTHON;
    }
    struct sockaddr_storage peer = {0};
    socklen_t size = sizeof peer;
    int host = accept4(listener->host, (struct sockaddr *)&peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (host < 0) {
        /* Who waits does so in Python, which also knows what to do about other failures. */
        return errno == EAGAIN && !(listener->flags & GUEST_WAITS) ? done(result, -EAGAIN) : PYTHON;
    }
    if (peer.ss_family != AF_INET && peer.ss_family != AF_INET6 && peer.ss_family != AF_UNIX) {
        close(host);
        return done(result, -ECONNABORTED);
    }
    size = told(&peer);
    if (name_at != 0 && (!tmebox_guest_copy_out(instance, name_at, &peer, room < size ? room : size) ||
                         !tmebox_guest_copy_out(instance, size_at, &size, sizeof size))) {
        close(host);
        return done(result, -EFAULT);
    }
    atomic_fetch_add_explicit(&tmebox_open_descriptors, 1, memory_order_relaxed);
    *row = (struct guest_descriptor){
        .host = host,
        .flags = GUEST_READS | GUEST_WRITES | GUEST_SOCKET | GUEST_CONNECTION | GUEST_NEW |
                 (flags & SOCK_NONBLOCK ? 0 : GUEST_WAITS) | (flags & SOCK_CLOEXEC ? GUEST_CLOEXEC : 0),
        .limit = INT64_MAX,
    };
    call->all->news++;
    return done(result, number);
}

/* Streams only: epolls that watch epolls have limits of their own. */
bool tmebox_guest_epoll_control(const struct guest_call *call, int64_t *result) {
    const struct guest_descriptor *epoll = tmebox_guest_find(call, call->arguments[0], GUEST_EPOLL);
    const struct guest_descriptor *watched = tmebox_guest_find(call, call->arguments[2], GUEST_SOCKET);
    int64_t operation = call->arguments[1];
    struct epoll_event event = {0};
    if (epoll == NULL || watched == NULL ||
        (operation != EPOLL_CTL_ADD && operation != EPOLL_CTL_MOD && operation != EPOLL_CTL_DEL)) {
        return PYTHON;
    }
    if (operation != EPOLL_CTL_DEL &&
        !tmebox_guest_copy_in(call->instance, &event, (uint64_t)call->arguments[3], sizeof event)) {
        return PYTHON;
    }
    event.events &= ~(uint32_t)EPOLLWAKEUP; /* keeps the machine awake: not for guests */
    return done(result, epoll_ctl(epoll->host, (int)operation, watched->host, &event) < 0 ? -errno : 0);
}

bool tmebox_guest_set_option(const struct guest_call *call, int64_t *result) {
    const struct guest_descriptor *row = tmebox_guest_find(call, call->arguments[0], GUEST_CONNECTION);
    int64_t level = call->arguments[1], option = call->arguments[2];
    int value;
    if (row == NULL || level != IPPROTO_TCP || (option != TCP_CORK && option != TCP_NODELAY) ||
        call->arguments[4] != sizeof value ||
        !tmebox_guest_copy_in(call->instance, &value, (uint64_t)call->arguments[3], sizeof value)) {
        return PYTHON;
    }
    value = value != 0;
    return done(result, setsockopt(row->host, IPPROTO_TCP, (int)option, &value, sizeof value) < 0 ? -errno : 0);
}

/* ioctl(FIONREAD) */
bool tmebox_guest_unread(const struct guest_call *call, int64_t *result) {
    const struct guest_descriptor *row = tmebox_guest_find(call, call->arguments[0], GUEST_CONNECTION);
    int value;
    if (row == NULL || (uint32_t)call->arguments[1] != FIONREAD || ioctl(row->host, FIONREAD, &value) < 0) {
        return PYTHON;
    }
    return tmebox_guest_copy_out(call->instance, (uint64_t)call->arguments[2], &value, sizeof value) ? done(result, 0)
                                                                                                    : PYTHON;
}
