/* Moving bytes between a sandbox and descriptors, without Python. Little goes by way of a buffer on the host's stack, and
 * tmebox_window_copy finds out what an address leads to. Where it is much and in one piece, the kernel gets the address
 * itself, once it was checked to lie in the window where the sandbox may write, or read: from there on it is memory of the
 * sandbox's like any other, or a fault, which the kernel answers with EFAULT. Then the buffer is tried: pages that
 * nobody has touched are not there for the kernel. */
#include "enter/datapath.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Without what glibc does for threads that are cancelled, before and after each call. */
#define recv(...) syscall(SYS_recvfrom, __VA_ARGS__, NULL, NULL)
#define send(...) syscall(SYS_sendto, __VA_ARGS__, NULL, 0)

#define CHUNK 16384
#define MUCH 4096
#define TRANSFER_MAX (16 << 20) /* as in runtime/system/calls.py */
#define VECTORS 16
#define MOST_WAITS 64 /* of one call: a reader that takes little at a time must not keep it from its time limit */

static const bool PYTHON = false;

static bool done(int64_t *result, int64_t value) {
    *result = value;
    return true;
}

/* -- one piece ------------------------------------------------------------------------------------------ */
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
    if (!(row->flags & GUEST_FILE) || row->limit >= INT64_MAX) {
        return true;
    }
    if (position < 0) {
        position = lseek(row->host, 0, row->flags & GUEST_APPENDS ? SEEK_END : SEEK_CUR);
    }
    return position >= 0 && (uint64_t)position <= row->limit && size <= row->limit - (uint64_t)position;
}

/* -- stretches of memory -------------------------------------------------------------------------------- */
struct part {
    uint64_t offset, size;
};

/* What one call moves, piece by piece. */
struct stretches {
    struct part parts[VECTORS];
    uint32_t count, index;
    uint64_t within; /* of parts[index] */
    uint64_t size;
};

/* The iovecs of a call. Nothing but small numbers of them; all of it is at most TRANSFER_MAX. */
static bool read_vectors(const struct guest_call *call, struct stretches *moved) {
    int64_t count = call->arguments[2];
    moved->size = 0;
    if (count <= 0 || count > VECTORS ||
        !tmebox_guest_copy_in(call->instance, moved->parts, (uint64_t)call->arguments[1],
                              (uint64_t)count * sizeof *moved->parts)) {
        return false;
    }
    for (moved->count = (uint32_t)count; count-- > 0;) {
        if (moved->parts[count].size > TRANSFER_MAX - moved->size) {
            return false;
        }
        moved->size += moved->parts[count].size;
    }
    return true;
}

/* `size` bytes that follow what was moved so far, in or out. */
static bool move_next(const struct instance *instance, struct stretches *moved, unsigned char *chunk, uint64_t size, bool in) {
    while (size != 0) {
        const struct part *part = &moved->parts[moved->index];
        uint64_t piece = part->size - moved->within < size ? part->size - moved->within : size;
        uint64_t offset = part->offset + moved->within;
        if (piece != 0 && !(in ? tmebox_guest_copy_in(instance, chunk, offset, piece)
                               : tmebox_guest_copy_out(instance, offset, chunk, piece))) {
            return false;
        }
        chunk += piece;
        size -= piece;
        moved->within += piece;
        if (moved->within == part->size) {
            moved->index++;
            moved->within = 0;
        }
    }
    return true;
}

static bool is_reachable(const struct instance *instance, const struct stretches *moved, bool writes) {
    for (uint32_t i = 0; i < moved->count; i++) {
        const struct part *part = &moved->parts[i];
        if (part->size != 0 && !(writes ? tmebox_guest_in_window(instance, part->offset, part->size)
                                        : tmebox_guest_is_writable(instance, part->offset, part->size))) {
            return false;
        }
    }
    return true;
}

/* Where the kernel can have the address, see above; NULL where a buffer is better. */
static void *directly(const struct instance *instance, const struct stretches *moved) {
    return moved->count == 1 && moved->size >= MUCH ? (void *)(instance->base + moved->parts[0].offset) : NULL;
}

/* Whether nothing else is left to try: not a page that is not there yet, not a wait. */
static bool has_failed(const struct guest_descriptor *row) {
    return errno != EFAULT && !(errno == EAGAIN && row->flags & GUEST_WAITS);
}

/* -- reading -------------------------------------------------------------------------------------------- */
/* Ends early where there is no more now. */
static bool read_into(const struct guest_call *call, const struct guest_descriptor *row, struct stretches *moved,
                      int64_t position, int64_t *result) {
    unsigned char chunk[CHUNK];
    uint64_t all = 0;
    bool waited = false;
    if (!is_reachable(call->instance, moved, false)) {
        return PYTHON;
    }
    void *place = directly(call->instance, moved);
    ssize_t at_once = place != NULL ? host_read(row, place, moved->size, position) : -1;
    if (at_once == 0 || (at_once > 0 && (!(row->flags & GUEST_FILE) || (uint64_t)at_once == moved->size))) {
        return done(result, at_once);
    }
    if (place != NULL && at_once < 0 && has_failed(row)) {
        return done(result, -errno);
    }
    if (at_once > 0) { /* of a file, of which more may be there */
        all = moved->within = (uint64_t)at_once;
    }
    do {
        size_t want = moved->size - all < CHUNK ? moved->size - all : CHUNK;
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
        if (!move_next(call->instance, moved, chunk, (size_t)got, false)) {
            return done(result, all != 0 ? (int64_t)all : -EFAULT);
        }
        all += (uint64_t)got;
        if ((size_t)got < want) {
            break;
        }
    } while (all < moved->size);
    return done(result, (int64_t)all);
}

/* -- writing -------------------------------------------------------------------------------------------- */
/* All of it, where the guest waits: what is left is Python's, which is told how much is done. */
static bool write_from(const struct guest_call *call, struct guest_descriptor *row, struct stretches *moved,
                       int64_t position, int64_t *result) {
    unsigned char chunk[CHUNK], *from = chunk;
    uint64_t all = 0, taken = 0;
    unsigned waits = 0;
    if (row->begun != 0 || !is_reachable(call->instance, moved, true) || !has_room(row, moved->size, position)) {
        return PYTHON;
    }
    const void *place = directly(call->instance, moved);
    ssize_t at_once = place != NULL ? host_write(row, place, moved->size, position) : -1;
    if (at_once > 0) {
        all = taken = moved->within = (uint64_t)at_once;
        if (all == moved->size || !(row->flags & (GUEST_FILE | GUEST_WAITS))) {
            return done(result, at_once);
        }
    } else if (place != NULL && at_once < 0 && has_failed(row)) {
        return done(result, -errno);
    }
    do {
        if (all == taken) {
            uint64_t want = moved->size - all < CHUNK ? moved->size - all : CHUNK;
            if (!move_next(call->instance, moved, chunk, want, true)) {
                return all != 0 ? done(result, (int64_t)all) : PYTHON;
            }
            from = chunk;
            taken += want;
        }
        ssize_t put = host_write(row, from, taken - all, position < 0 ? position : position + (int64_t)all);
        if (put < 0 && !(errno == EAGAIN && row->flags & GUEST_WAITS)) {
            return done(result, all != 0 ? (int64_t)all : -errno);
        }
        all += put > 0 ? (uint64_t)put : 0;
        from += put > 0 ? put : 0;
        if (all < taken && row->flags & GUEST_WAITS) {
            if (++waits > MOST_WAITS || !ready_soon(row, POLLOUT)) {
                row->begun = all;
                return PYTHON;
            }
        } else if (all < taken) {
            break;
        }
    } while (all < moved->size);
    return done(result, (int64_t)all);
}

bool tmebox_guest_move(const struct guest_call *call, uint64_t number, int64_t *result) {
    bool writes = number == SYS_write || number == SYS_pwrite64 || number == SYS_sendto || number == SYS_writev;
    bool positioned = number == SYS_pread64 || number == SYS_pwrite64;
    bool message = number == SYS_sendto || number == SYS_recvfrom;
    uint32_t needed = writes ? GUEST_WRITES : GUEST_READS;
    needed |= positioned ? GUEST_FILE : message ? GUEST_SOCKET : 0;
    struct guest_descriptor *row = tmebox_guest_find(call, call->arguments[0], needed);
    if (row == NULL || (positioned && call->arguments[3] < 0)) {
        return PYTHON;
    }
    /* Flags, and names, are for Python; but who asks not to wait does not. */
    if (message && (call->arguments[3] & ~MSG_NOSIGNAL || (!writes && call->arguments[4] != 0))) {
        return PYTHON;
    }
    struct stretches moved; /* not all of it: most calls have one part */
    moved.count = 1;
    moved.index = 0;
    moved.within = 0;
    moved.parts[0] = (struct part){(uint64_t)call->arguments[1], (uint64_t)call->arguments[2]};
    if (number == SYS_readv || number == SYS_writev) {
        if (!read_vectors(call, &moved)) {
            return PYTHON;
        }
    } else {
        moved.parts[0].size = moved.parts[0].size < TRANSFER_MAX ? moved.parts[0].size : TRANSFER_MAX;
        moved.size = moved.parts[0].size;
    }
    bool has_position = row->flags & GUEST_NEW && row->file != NULL;
    int64_t position = positioned ? call->arguments[3] : has_position ? row->position : -1;
    bool answered = writes ? write_from(call, row, &moved, position, result)
                           : read_into(call, row, &moved, position, result);
    if (answered && has_position && !positioned && *result > 0) {
        row->position += *result;
    }
    return answered;
}
