/* System calls without Python. Bytes go by way of a buffer on the host's stack: the kernel never sees an address that
 * sandboxed code chose, and what such an address leads to is found out by one function, tmebox_window_copy. */
#include "enter/datapath.h"
#include "windows/window.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define CHUNK 16384
#define TRANSFER_MAX (16 << 20) /* as in runtime/system/calls.py */
#define VECTORS 16
#define EVENTS 64
#define SOON_MS 2
#define MOST_WAITS 64 /* of one call: a reader that takes little at a time must not keep it from its time limit */
#define SENDFILE_MAX (1 << 20)

static_assert(sizeof(struct epoll_event) == 12, "as the guest has it");

/* One call. `answered` false: Python is asked, with the arguments as they came. */
struct call {
    const struct instance *instance;
    struct guest_descriptors *all;
    int64_t arguments[6];
};

static const bool PYTHON = false;

static bool done(int64_t *result, int64_t value) {
    *result = value;
    return true;
}

/* -- the sandbox's memory ------------------------------------------------------------------------------- */
/* The shared heap has owners, which Python checks. */
static bool in_window(uint64_t offset, uint64_t size) {
    return offset < TMEBOX_ARENA_END && size <= TMEBOX_ARENA_END - offset;
}

static bool copy_in(const struct instance *instance, void *to, uint64_t offset, uint64_t size) {
    return in_window(offset, size) &&
           tmebox_window_copy(to, (const void *)(instance->base + offset), size).how == 0;
}

/* What a sandbox cannot write itself is not written for it: pages protect that too, but not from every writer. */
static bool is_writable(const struct instance *instance, uint64_t offset, uint64_t size) {
    if (!in_window(offset, size) ||
        (offset < TMEBOX_CONTROL_PAGE + TMEBOX_PAGE_SIZE && TMEBOX_CONTROL_PAGE < offset + size)) {
        return false;
    }
    const struct template *template = instance->window != NULL ? atomic_load(&instance->window->template) : NULL;
    for (uint32_t i = 0; template != NULL && i < template->read_only_count; i++) {
        if (offset < template->read_only[i].end && template->read_only[i].start < offset + size) {
            return false;
        }
    }
    return true;
}

static bool copy_out(const struct instance *instance, uint64_t offset, const void *from, uint64_t size) {
    return is_writable(instance, offset, size) &&
           tmebox_window_copy((void *)(instance->base + offset), from, size).how == 0;
}

/* -- descriptors ---------------------------------------------------------------------------------------- */
static struct guest_descriptor *find(const struct call *call, int64_t number, uint32_t flags) {
    if (number < 0 || number >= call->all->count) {
        return NULL;
    }
    struct guest_descriptor *row = &call->all->rows[number];
    return row->owner != NULL && (row->flags & flags) == flags ? row : NULL;
}

/* Whether it is worth trying again. Not for long: this thread may have the GIL. A signal ends the wait. */
static bool ready_soon(const struct guest_descriptor *row, short events) {
    struct pollfd one = {.fd = row->host, .events = events};
    return poll(&one, 1, SOON_MS) > 0;
}

/* `position` < 0: the file's own. */
static ssize_t host_read(const struct guest_descriptor *row, void *to, size_t size, int64_t position) {
    if (row->flags & GUEST_SOCKET) {
        return recv(row->host, to, size, MSG_DONTWAIT);
    }
    return position < 0 ? read(row->host, to, size) : pread(row->host, to, size, position);
}

static ssize_t host_write(const struct guest_descriptor *row, const void *from, size_t size, int64_t position) {
    if (row->flags & GUEST_SOCKET) {
        return send(row->host, from, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    return position < 0 ? write(row->host, from, size) : pwrite(row->host, from, size, position);
}

/* A file may not grow beyond its limit; Python says how it fails. */
static bool has_room(const struct guest_descriptor *row, size_t size, int64_t position) {
    if (!(row->flags & GUEST_FILE)) {
        return true;
    }
    if (position < 0) {
        position = lseek(row->host, 0, row->flags & GUEST_APPENDS ? SEEK_END : SEEK_CUR);
    }
    return position >= 0 && (uint64_t)position <= row->limit && size <= row->limit - (uint64_t)position;
}

/* -- reading -------------------------------------------------------------------------------------------- */
/* Into one stretch of memory. Ends early where there is no more now. */
static bool read_into(const struct call *call, const struct guest_descriptor *row, uint64_t offset, uint64_t size,
                      int64_t position, int64_t *result) {
    unsigned char chunk[CHUNK];
    uint64_t all = 0;
    bool waited = false;
    size = size < TRANSFER_MAX ? size : TRANSFER_MAX;
    if (!is_writable(call->instance, offset, size)) {
        return PYTHON;
    }
    do {
        size_t want = size - all < CHUNK ? size - all : CHUNK;
        ssize_t got = host_read(row, chunk, want, position < 0 ? position : position + (int64_t)all);
        if (got < 0) {
            if (all == 0 && errno == EAGAIN && row->flags & GUEST_WAITS) {
                if (waited || !ready_soon(row, POLLIN)) {
                    return PYTHON;
                }
                waited = true;
                continue;
            }
            return done(result, all != 0 ? (int64_t)all : -errno);
        }
        if (!copy_out(call->instance, offset + all, chunk, (size_t)got)) {
            return done(result, all != 0 ? (int64_t)all : -EFAULT);
        }
        all += (uint64_t)got;
        if ((size_t)got < want) {
            break;
        }
    } while (all < size);
    return done(result, (int64_t)all);
}

/* -- writing -------------------------------------------------------------------------------------------- */
/* From one stretch. All of it, where the guest waits: what is left is Python's, which is told how much is done. */
static bool write_from(const struct call *call, struct guest_descriptor *row, uint64_t offset, uint64_t size,
                       int64_t position, int64_t *result) {
    unsigned char chunk[CHUNK];
    uint64_t all = 0;
    unsigned waits = 0;
    size = size < TRANSFER_MAX ? size : TRANSFER_MAX;
    if (row->begun != 0 || !in_window(offset, size) || !has_room(row, size, position)) {
        return PYTHON;
    }
    do {
        size_t want = size - all < CHUNK ? size - all : CHUNK;
        if (!copy_in(call->instance, chunk, offset + all, want)) {
            return all != 0 ? done(result, (int64_t)all) : PYTHON;
        }
        ssize_t put = host_write(row, chunk, want, position < 0 ? position : position + (int64_t)all);
        if (put < 0 && !(errno == EAGAIN && row->flags & GUEST_WAITS)) {
            return done(result, all != 0 ? (int64_t)all : -errno);
        }
        all += put > 0 ? (uint64_t)put : 0;
        if (put < (ssize_t)want && row->flags & GUEST_WAITS) {
            if (++waits > MOST_WAITS || !ready_soon(row, POLLOUT)) {
                row->begun = all;
                return PYTHON;
            }
        } else if (put < (ssize_t)want) {
            break;
        }
    } while (all < size);
    return done(result, (int64_t)all);
}

/* -- several stretches ---------------------------------------------------------------------------------- */
/* Small gathers and scatters, in one buffer; others are Python's. */
static bool vectored(const struct call *call, struct guest_descriptor *row, bool writes, int64_t *result) {
    unsigned char chunk[CHUNK];
    struct { uint64_t offset, size; } parts[VECTORS];
    int64_t count = call->arguments[2];
    uint64_t size = 0;
    if (count <= 0 || count > VECTORS ||
        !copy_in(call->instance, parts, (uint64_t)call->arguments[1], (uint64_t)count * sizeof *parts)) {
        return PYTHON;
    }
    for (int64_t i = 0; i < count; i++) {
        if (parts[i].size > CHUNK || size + parts[i].size > CHUNK ||
            (!writes && !is_writable(call->instance, parts[i].offset, parts[i].size))) {
            return PYTHON;
        }
        size += parts[i].size;
    }
    uint64_t at = 0;
    for (int64_t i = 0; writes && i < count; at += parts[i++].size) {
        if (parts[i].size != 0 && !copy_in(call->instance, chunk + at, parts[i].offset, parts[i].size)) {
            return PYTHON;
        }
    }
    if (writes && (row->begun != 0 || !has_room(row, size, -1))) {
        return PYTHON;
    }
    ssize_t moved = writes ? host_write(row, chunk, size, -1) : host_read(row, chunk, size, -1);
    if (moved < 0 && errno == EAGAIN && row->flags & GUEST_WAITS) {
        return PYTHON;
    }
    if (moved < 0) {
        return done(result, -errno);
    }
    if (writes && (uint64_t)moved < size && row->flags & GUEST_WAITS) {
        row->begun = (uint64_t)moved;
        return PYTHON;
    }
    uint64_t left = (uint64_t)moved;
    for (int64_t i = 0; !writes && left != 0; i++) {
        uint64_t piece = left < parts[i].size ? left : parts[i].size;
        if (piece != 0 && !copy_out(call->instance, parts[i].offset, chunk + ((uint64_t)moved - left), piece)) {
            return done(result, -EFAULT);
        }
        left -= piece;
    }
    return done(result, moved);
}

/* -- the calls ------------------------------------------------------------------------------------------ */
static bool wait_for_events(const struct call *call, int64_t *result) {
    struct epoll_event found[EVENTS];
    const struct guest_descriptor *row = find(call, call->arguments[0], GUEST_EPOLL);
    int64_t most = call->arguments[2];
    int timeout = (int)call->arguments[3];
    if (row == NULL || most <= 0) {
        return PYTHON;
    }
    most = most < EVENTS ? most : EVENTS;
    if (!is_writable(call->instance, (uint64_t)call->arguments[1], (uint64_t)most * sizeof *found)) {
        return PYTHON;
    }
    int count = epoll_wait(row->host, found, (int)most, timeout < 0 || timeout > SOON_MS ? SOON_MS : timeout);
    if (count < 0 || (count == 0 && (timeout < 0 || timeout > SOON_MS))) {
        return PYTHON;
    }
    call->all->answered++;
    size_t size = (size_t)count * sizeof *found;
    bool good = size == 0 || copy_out(call->instance, (uint64_t)call->arguments[1], found, size);
    return done(result, good ? count : -EFAULT);
}

/* Without a flag against it, sending to a closed connection raises SIGPIPE, which ends a host that has the default. */
static bool ignores_sigpipe(void) {
    struct sigaction current;
    return sigaction(SIGPIPE, NULL, &current) == 0 &&
           (current.sa_flags & SA_SIGINFO || current.sa_handler != SIG_DFL);
}

static bool send_file(const struct call *call, int64_t *result) {
    const struct guest_descriptor *out = find(call, call->arguments[0], GUEST_SOCKET | GUEST_WRITES);
    const struct guest_descriptor *in = find(call, call->arguments[1], GUEST_FILE | GUEST_READS);
    uint64_t position_at = (uint64_t)call->arguments[2], size = (uint64_t)call->arguments[3];
    off_t position;
    if (out == NULL || in == NULL || out->flags & GUEST_WAITS || !ignores_sigpipe()) {
        return PYTHON;
    }
    if (position_at != 0 && (!copy_in(call->instance, &position, position_at, sizeof position) || position < 0 ||
                             !is_writable(call->instance, position_at, sizeof position))) {
        return PYTHON;
    }
    size = size < SENDFILE_MAX ? size : SENDFILE_MAX;
    ssize_t sent = sendfile(out->host, in->host, position_at != 0 ? &position : NULL, size);
    if (sent < 0) {
        return done(result, -errno);
    }
    if (position_at != 0 && !copy_out(call->instance, position_at, &position, sizeof position)) {
        return done(result, -EFAULT);
    }
    return done(result, sent);
}

static bool tell_time(const struct call *call, int64_t *result) {
    static const bool known[] = {
        [CLOCK_REALTIME] = true,        [CLOCK_MONOTONIC] = true,        [CLOCK_MONOTONIC_RAW] = true,
        [CLOCK_REALTIME_COARSE] = true, [CLOCK_MONOTONIC_COARSE] = true, [CLOCK_BOOTTIME] = true,
    };
    struct timespec now;
    uint64_t clock = (uint64_t)call->arguments[0];
    if (!call->all->host_clock || clock >= sizeof known || !known[clock] || clock_gettime((clockid_t)clock, &now) < 0) {
        return PYTHON;
    }
    return copy_out(call->instance, (uint64_t)call->arguments[1], &now, sizeof now) ? done(result, 0) : PYTHON;
}

static bool move(const struct call *call, uint64_t number, int64_t *result) {
    bool writes = number == SYS_write || number == SYS_pwrite64 || number == SYS_sendto || number == SYS_writev;
    bool positioned = number == SYS_pread64 || number == SYS_pwrite64;
    bool message = number == SYS_sendto || number == SYS_recvfrom;
    uint32_t needed = writes ? GUEST_WRITES : GUEST_READS;
    needed |= positioned ? GUEST_FILE : message ? GUEST_SOCKET : 0;
    struct guest_descriptor *row = find(call, call->arguments[0], needed);
    if (row == NULL || (positioned && call->arguments[3] < 0)) {
        return PYTHON;
    }
    /* Flags, and names, are for Python; but who asks not to wait does not. */
    if (message && (call->arguments[3] & ~MSG_NOSIGNAL || (!writes && call->arguments[4] != 0))) {
        return PYTHON;
    }
    if (number == SYS_readv || number == SYS_writev) {
        return vectored(call, row, writes, result);
    }
    uint64_t offset = (uint64_t)call->arguments[1], size = (uint64_t)call->arguments[2];
    int64_t position = positioned ? call->arguments[3] : -1;
    return writes ? write_from(call, row, offset, size, position, result)
                  : read_into(call, row, offset, size, position, result);
}

bool tmebox_answer_system_call(const struct instance *instance, struct guest_descriptors *descriptors,
                               uint64_t number, uint64_t arguments_at, int64_t *result) {
    struct call call = {.instance = instance, .all = descriptors};
    switch (number) {
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
    case SYS_sendfile:
    case SYS_clock_gettime:
        break;
    default:
        return PYTHON;
    }
    if (!copy_in(instance, call.arguments, arguments_at, sizeof call.arguments)) {
        return PYTHON;
    }
    int error = errno;
    bool answered = number == SYS_epoll_wait || number == SYS_epoll_pwait ? wait_for_events(&call, result)
                    : number == SYS_sendfile                              ? send_file(&call, result)
                    : number == SYS_clock_gettime                         ? tell_time(&call, result)
                                                                          : move(&call, number, result);
    errno = error;
    return answered;
}
