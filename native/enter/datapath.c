/* System calls without Python: which there are, and those that neither move bytes (moving.c), open (opening.c) nor
 * accept (accepting.c). */
#include "enter/datapath.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define EVENTS 64
#define SENDFILE_MAX (1 << 20)
#define LITTLE 4096 /* of a file that is sent */

static_assert(sizeof(struct epoll_event) == 12, "as the guest has it");

static const bool PYTHON = false;

static bool done(int64_t *result, int64_t value) {
    *result = value;
    return true;
}

/* -- the calls ------------------------------------------------------------------------------------------ */
static bool wait_for_events(const struct guest_call *call, int64_t *result) {
    struct epoll_event found[EVENTS];
    const struct guest_descriptor *row = tmebox_guest_find(call, call->arguments[0], GUEST_EPOLL);
    int64_t most = call->arguments[2];
    int timeout = (int)call->arguments[3];
    if (row == NULL || most <= 0) {
        return PYTHON;
    }
    most = most < EVENTS ? most : EVENTS;
    if (!tmebox_guest_is_writable(call->instance, (uint64_t)call->arguments[1], (uint64_t)most * sizeof *found)) {
        return PYTHON;
    }
    int count = epoll_wait(row->host, found, (int)most, timeout < 0 || timeout > SOON_MS ? SOON_MS : timeout);
    if (count < 0 || (count == 0 && (timeout < 0 || timeout > SOON_MS))) {
        return PYTHON;
    }
    call->all->answered++;
    size_t size = (size_t)count * sizeof *found;
    bool good = size == 0 || tmebox_guest_copy_out(call->instance, (uint64_t)call->arguments[1], found, size);
    return done(result, good ? count : -EFAULT);
}

/* Without a flag against it, sending to a closed connection raises SIGPIPE, which ends a host that has the default. */
static bool ignores_sigpipe(void) {
    struct sigaction current;
    return sigaction(SIGPIPE, NULL, &current) == 0 &&
           (current.sa_flags & SA_SIGINFO || current.sa_handler != SIG_DFL);
}

/* Little is copied: sendfile() would take longer, and has no flag against SIGPIPE. `where` NULL: the file's own. */
static ssize_t send_little(const struct guest_descriptor *out, const struct guest_descriptor *in, off_t *where,
                           size_t size) {
    unsigned char chunk[LITTLE];
    off_t position = where != NULL ? *where : lseek(in->host, 0, SEEK_CUR);
    ssize_t got = position < 0 ? -1 : pread(in->host, chunk, size, position);
    ssize_t sent = got > 0 ? send(out->host, chunk, (size_t)got, MSG_DONTWAIT | MSG_NOSIGNAL) : got;
    if (sent > 0 && where != NULL) {
        *where = position + sent;
    } else if (sent > 0) {
        lseek(in->host, position + sent, SEEK_SET);
    }
    return sent;
}

static bool send_file(const struct guest_call *call, int64_t *result) {
    const struct guest_descriptor *out = tmebox_guest_find(call, call->arguments[0], GUEST_SOCKET | GUEST_WRITES);
    struct guest_descriptor *in = tmebox_guest_find(call, call->arguments[1], GUEST_FILE | GUEST_READS);
    uint64_t position_at = (uint64_t)call->arguments[2], size = (uint64_t)call->arguments[3];
    off_t position;
    if (out == NULL || in == NULL || out->flags & GUEST_WAITS || (size > LITTLE && !ignores_sigpipe())) {
        return PYTHON;
    }
    if (position_at != 0 && (!tmebox_guest_copy_in(call->instance, &position, position_at, sizeof position) || position < 0 ||
                             !tmebox_guest_is_writable(call->instance, position_at, sizeof position))) {
        return PYTHON;
    }
    size = size < SENDFILE_MAX ? size : SENDFILE_MAX;
    off_t *where = position_at != 0 ? &position : in->flags & GUEST_NEW ? &in->position : NULL;
    ssize_t sent = size <= LITTLE ? send_little(out, in, where, size) : sendfile(out->host, in->host, where, size);
    if (sent < 0) {
        return done(result, -errno);
    }
    if (position_at != 0 && !tmebox_guest_copy_out(call->instance, position_at, &position, sizeof position)) {
        return done(result, -EFAULT);
    }
    return done(result, sent);
}

bool tmebox_guest_time(const struct guest_descriptors *descriptors, uint64_t clock, struct timespec *now) {
    static const bool known[] = {
        [CLOCK_REALTIME] = true,        [CLOCK_MONOTONIC] = true,        [CLOCK_MONOTONIC_RAW] = true,
        [CLOCK_REALTIME_COARSE] = true, [CLOCK_MONOTONIC_COARSE] = true, [CLOCK_BOOTTIME] = true,
    };
    return descriptors->host_clock && clock < sizeof known && known[clock] && clock_gettime((clockid_t)clock, now) == 0;
}

static bool tell_time(const struct guest_call *call, int64_t *result) {
    struct timespec now;
    if (!tmebox_guest_time(call->all, (uint64_t)call->arguments[0], &now)) {
        return PYTHON;
    }
    return tmebox_guest_copy_out(call->instance, (uint64_t)call->arguments[1], &now, sizeof now) ? done(result, 0) : PYTHON;
}

static bool answer(const struct guest_call *call, uint64_t number, int64_t *result) {
    switch (number) {
    case SYS_epoll_wait:
    case SYS_epoll_pwait:
        return wait_for_events(call, result);
    case SYS_epoll_ctl:
        return tmebox_guest_epoll_control(call, result);
    case SYS_sendfile:
        return send_file(call, result);
    case SYS_clock_gettime:
        return tell_time(call, result);
    case SYS_accept:
    case SYS_accept4:
        return tmebox_guest_accept(call, number == SYS_accept4, result);
    case SYS_setsockopt:
        return tmebox_guest_set_option(call, result);
    case SYS_ioctl:
        return tmebox_guest_unread(call, result);
    case SYS_open:
    case SYS_openat:
        return tmebox_guest_open(call, number == SYS_openat, result);
    case SYS_fstat:
        return tmebox_guest_file_status(call, result);
    case SYS_close:
        return tmebox_guest_close(call, result);
    default:
        return tmebox_guest_move(call, number, result);
    }
}

bool tmebox_answer_system_call(const struct instance *instance, struct guest_descriptors *descriptors,
                               uint64_t number, uint64_t arguments_at, int64_t *result) {
    struct guest_call call = {.instance = instance, .all = descriptors};
    if (number != SYS_fstat) {
        descriptors->fresh = NULL;
    }
    switch (number) {
    case TMEBOX_SYS_CALL_DEPTH:
        return done(result, instance->depth);
    case SYS_read:
    case SYS_write:
    case SYS_readv:
    case SYS_writev:
    case SYS_pread64:
    case SYS_pwrite64:
    case SYS_recvfrom:
    case SYS_sendto:
    case SYS_epoll_wait:
    case SYS_epoll_pwait:
    case SYS_epoll_ctl:
    case SYS_sendfile:
    case SYS_clock_gettime:
    case SYS_accept:
    case SYS_accept4:
    case SYS_setsockopt:
    case SYS_ioctl:
    case SYS_open:
    case SYS_openat:
    case SYS_fstat:
    case SYS_close:
        break;
    default:
        return PYTHON;
    }
    if (!tmebox_guest_copy_in(instance, call.arguments, arguments_at, sizeof call.arguments)) {
        return PYTHON;
    }
    int error = errno;
    bool answered = answer(&call, number, result);
    errno = error;
    if (answered && descriptors->counts != NULL) {
        descriptors->counts[number % GUEST_CALLS]++;
    }
    return answered;
}
