/* Moving bytes between a sandbox and descriptors, without Python: what is checked first, and calls that one call of the
 * kernel's does not do. They go by way of a buffer on the host's stack, piece by piece, and tmebox_window_copy finds out
 * what an address leads to. */
#include "enter/kernelcall.h"
#include "enter/moving.h"
#include "threads/thread.h"

#include <errno.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK 16384
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

/* `position` < 0: the file's own. Both return -errno where they fail. */
static int64_t host_read(const struct guest_descriptor *row, void *to, size_t size, int64_t position) {
    if (row->flags & GUEST_SOCKET) {
        return tmebox_kernel_call6(SYS_recvfrom, row->host, (long)to, (long)size, MSG_DONTWAIT, 0, 0);
    }
    return tmebox_kernel_call4(position < 0 ? SYS_read : SYS_pread64, row->host, (long)to, (long)size, position);
}

static int64_t host_write(const struct guest_descriptor *row, const void *from, size_t size, int64_t position) {
    if (row->flags & GUEST_SOCKET) {
        return tmebox_kernel_call6(SYS_sendto, row->host, (long)from, (long)size, MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0);
    }
    return tmebox_kernel_call4(position < 0 ? SYS_write : SYS_pwrite64, row->host, (long)from, (long)size, position);
}

/* A file may not grow beyond its limit; Python says how it fails. Where a file is that is written in turn is asked for
 * once. */
static bool has_room(struct guest_descriptors *all, const struct guest_descriptor *row, size_t size, int64_t position) {
    bool own = position < 0, appends = row->flags & GUEST_APPENDS; /* whatever position a call names */
    struct stat status;
    if (!(row->flags & GUEST_FILE) || row->limit >= INT64_MAX) {
        return true;
    }
    if (own && all->measured == row && size <= all->room) {
        return true;
    }
    if (appends) {
        position = fstat(row->host, &status) == 0 ? status.st_size : -1;
    } else if (own) {
        position = lseek(row->host, 0, SEEK_CUR);
    }
    if (position < 0 || (uint64_t)position > row->limit) {
        return false;
    }
    uint64_t room = row->limit - (uint64_t)position;
    if (own && !appends) {
        all->measured = row;
        all->room = room;
    }
    return size <= room;
}

/* -- stretches of memory -------------------------------------------------------------------------------- */
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

bool tmebox_guest_copy_next(const struct instance *instance, struct stretches *moved, unsigned char *chunk, uint64_t size,
                            bool in) {
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

/* What was moved so far is so much from the beginning. */
static void skip(struct stretches *moved, uint64_t size) {
    moved->index = 0;
    while (size != 0 && size >= moved->parts[moved->index].size) {
        size -= moved->parts[moved->index++].size;
    }
    moved->within = size;
}

/* -- reading -------------------------------------------------------------------------------------------- */
/* Ends early where there is no more now. */
static bool read_rest(const struct guest_call *call, struct guest_move *move, uint64_t all, int64_t *result) {
    const struct guest_descriptor *row = move->row;
    struct stretches *moved = &move->moved;
    unsigned char chunk[CHUNK];
    bool waited = false;
    do {
        size_t want = moved->size - all < CHUNK ? moved->size - all : CHUNK;
        int64_t got = host_read(row, chunk, want, move->position < 0 ? move->position : move->position + (int64_t)all);
        if (got < 0) {
            if (all == 0 && got == -EAGAIN && row->flags & GUEST_WAITS) {
                if (waited || !ready_soon(row, POLLIN)) {
                    return PYTHON;
                }
                waited = true;
                continue;
            }
            return done(result, all != 0 ? (int64_t)all : got);
        }
        if (!tmebox_guest_copy_next(call->instance, moved, chunk, (uint64_t)got, false)) {
            return done(result, all != 0 ? (int64_t)all : -EFAULT);
        }
        all += (uint64_t)got;
        if ((uint64_t)got < want) {
            break;
        }
    } while (all < moved->size);
    return done(result, (int64_t)all);
}

/* -- writing -------------------------------------------------------------------------------------------- */
/* All of it, where the guest waits: what is left is Python's, which is told how much is done. */
static bool write_rest(const struct guest_call *call, struct guest_move *move, uint64_t all, int64_t *result) {
    struct guest_descriptor *row = move->row;
    struct stretches *moved = &move->moved;
    unsigned char chunk[CHUNK], *from = chunk;
    uint64_t taken = all;
    unsigned waits = 0;
    do {
        if (all == taken) {
            uint64_t want = moved->size - all < CHUNK ? moved->size - all : CHUNK;
            if (!tmebox_guest_copy_next(call->instance, moved, chunk, want, true)) {
                return all != 0 ? done(result, (int64_t)all) : PYTHON;
            }
            from = chunk;
            taken += want;
        }
        int64_t put = host_write(row, from, taken - all, move->position < 0 ? move->position : move->position + (int64_t)all);
        if (put < 0 && !(put == -EAGAIN && row->flags & GUEST_WAITS)) {
            return done(result, all != 0 ? (int64_t)all : put);
        }
        all += put > 0 ? (uint64_t)put : 0;
        from += put > 0 ? put : 0;
        if (all < taken && row->flags & GUEST_WAITS) {
            if (++waits > MOST_WAITS || !ready_soon(row, POLLOUT)) {
                row->begun = all;
                row->begun_from = (struct guest_buffer){call->arguments[1], call->arguments[2]};
                return PYTHON;
            }
        } else if (all < taken) {
            break;
        }
    } while (all < moved->size);
    return done(result, (int64_t)all);
}

bool tmebox_guest_move_rest(const struct guest_call *call, struct guest_move *move, uint64_t already, int64_t *result) {
    skip(&move->moved, already);
    bool answered = move->writes ? write_rest(call, move, already, result) : read_rest(call, move, already, result);
    tmebox_guest_settle(call, move, answered, *result);
    return answered;
}

void tmebox_guest_settle(const struct guest_call *call, const struct guest_move *move, bool answered, int64_t result) {
    struct guest_descriptors *all = call->all;
    struct guest_descriptor *row = move->row;
    if (!(row->flags & GUEST_FILE)) {
        return;
    }
    if (answered && move->advances && result > 0) {
        row->position += result;
    }
    if (all->measured != row || !answered || !move->writes || result < 0) {
        all->measured = NULL; /* another row may be the same open file */
    } else {
        all->room -= (uint64_t)result < all->room ? (uint64_t)result : all->room;
    }
}

/* -- what is asked for ---------------------------------------------------------------------------------- */
bool tmebox_guest_prepare_move(const struct guest_call *call, uint64_t number, struct guest_move *move) {
    bool writes = number == SYS_write || number == SYS_pwrite64 || number == SYS_sendto || number == SYS_writev;
    bool positioned = number == SYS_pread64 || number == SYS_pwrite64;
    bool message = number == SYS_sendto || number == SYS_recvfrom;
    uint32_t needed = writes ? GUEST_WRITES : GUEST_READS;
    needed |= positioned ? GUEST_FILE | GUEST_PLACED : message ? GUEST_SOCKET : 0;
    struct guest_descriptor *row = tmebox_guest_find(call, call->arguments[0], needed);
    if (row == NULL || (positioned && call->arguments[3] < 0)) {
        return false;
    }
    /* Flags, and names, are for Python; but who asks not to wait does not. */
    if (message && (call->arguments[3] & ~MSG_NOSIGNAL || call->arguments[4] != 0)) {
        return false;
    }
    struct stretches *moved = &move->moved; /* not all of it: most calls have one part */
    moved->count = 1;
    moved->index = 0;
    moved->within = 0;
    if (number == SYS_readv || number == SYS_writev) {
        if (!read_vectors(call, moved)) {
            return false;
        }
    } else {
        uint64_t size = (uint64_t)call->arguments[2];
        moved->size = size < TRANSFER_MAX ? size : TRANSFER_MAX;
        moved->parts[0] = (struct part){(uint64_t)call->arguments[1], moved->size};
    }
    move->row = row;
    move->writes = writes;
    move->advances = !positioned && row->flags & GUEST_NEW && row->file != NULL;
    move->position = positioned ? call->arguments[3] : move->advances ? row->position : -1;
    bool pipe = writes && (row->flags & (GUEST_WAITS | GUEST_SOCKET)) == GUEST_WAITS;
    return is_reachable(call->instance, moved, writes) &&
           (!writes || (row->begun == 0 && has_room(call->all, row, moved->size, move->position))) &&
           (!pipe || tmebox_quiet_pipes(call->instance->thread));
}

bool tmebox_guest_seek(const struct guest_call *call, int64_t *result) {
    struct guest_descriptor *row = tmebox_guest_find(call, call->arguments[0], GUEST_FILE | GUEST_PLACED);
    int64_t offset = call->arguments[1], whence = call->arguments[2];
    if (row == NULL || whence < SEEK_SET || whence > SEEK_END) {
        return PYTHON;
    }
    call->all->measured = NULL;
    if (row->file == NULL) {
        return done(result, tmebox_kernel_call4(SYS_lseek, row->host, offset, whence, 0));
    }
    struct stat status;
    int64_t base = whence == SEEK_CUR ? row->position : 0;
    if (whence == SEEK_END) {
        if (fstat(row->host, &status) < 0) {
            return PYTHON;
        }
        base = status.st_size;
    }
    if (__builtin_add_overflow(base, offset, &base) || base < 0) {
        return done(result, -EINVAL);
    }
    /* Whether that is a position at all, the kernel knows: its own for this open file is never used. */
    int64_t position = tmebox_kernel_call4(SYS_lseek, row->host, base, SEEK_SET, 0);
    row->position = position < 0 ? row->position : position;
    return done(result, position);
}
