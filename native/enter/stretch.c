/* What servers do most: one stretch of memory into a connection or out of it, or out of a file at a position. The general way,
 * to which this is a short cut, makes a plan (planning.c). The kernel's part of each call has emptied the caches of code: so
 * this is little code, in one place.
 *
 * What the kernel does not do at once it is asked for again, the general way: nothing has happened then. */
#include "enter/activation.h"
#include "windows/window.h"

/* From here on no function touches a vector register: those of the sandbox's stay, and are neither kept nor cleared. */
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("general-regs-only"))), apply_to = function)
#else
#pragma GCC target("general-regs-only")
#endif

#include "enter/datapath.h"
#include "enter/kernelcall.h"

#include <errno.h>
#include <sys/socket.h>

int tmebox_move_stretch(struct activation *activation);

/* Whether a call is over with what the kernel said. If not, nothing has happened: a file is as it was. */
static inline bool is_over(const struct guest_descriptor *row, int64_t value, uint64_t size) {
    if (UNLIKELY(value < 0)) {
        return value != -EFAULT && !(value == -EAGAIN && row->flags & GUEST_WAITS);
    }
    return !(row->flags & GUEST_FILE) || value == 0 || (uint64_t)value == size;
}

/* Whether it is done, by who asks in registers for what. */
int tmebox_move_stretch(struct activation *activation) {
    const struct instance *instance = activation->instance;
    struct guest_descriptors *all = instance->running;
    uint64_t number = activation->integers[0] - TMEBOX_SYS_DIRECT;
    const uint64_t *words = &activation->integers[1];
    uint64_t offset = words[1], size = words[2];
    long kernels, fourth; /* flags, or a position */
    uint32_t needed;
    bool writes = false;
    if (UNLIKELY(all == NULL || words[0] >= all->count)) {
        return false;
    }
    if (number == SYS_writev) {
        uint64_t only[2]; /* a struct iovec, word by word: what is copied at once goes by a vector register */
        if (size != 1 || !tmebox_guest_copy_in(instance, &only[0], offset, sizeof only[0]) ||
            !tmebox_guest_copy_in(instance, &only[1], offset + sizeof only[0], sizeof only[1])) {
            return false;
        }
        offset = only[0];
        size = only[1];
    }
    const struct guest_descriptor *row = &all->rows[words[0]];
    switch (number) {
    case SYS_recvfrom:
        if (words[3] != 0 || words[4] != 0) {
            return false;
        }
        __attribute__((fallthrough));
    case SYS_read:
        needed = GUEST_READS | GUEST_SOCKET;
        kernels = SYS_recvfrom;
        fourth = MSG_DONTWAIT;
        break;
    case SYS_sendto:
        if ((words[3] & ~(uint64_t)MSG_NOSIGNAL) != 0 || words[4] != 0) {
            return false;
        }
        __attribute__((fallthrough));
    case SYS_write:
    case SYS_writev:
        needed = GUEST_WRITES | (number == SYS_sendto ? GUEST_SOCKET : 0);
        kernels = row->flags & GUEST_SOCKET ? SYS_sendto : SYS_write;
        fourth = MSG_DONTWAIT | MSG_NOSIGNAL;
        writes = true;
        break;
    case SYS_pread64:
        needed = GUEST_READS | GUEST_FILE | GUEST_PLACED;
        kernels = SYS_pread64;
        fourth = (long)words[3];
        break;
    default:
        return false;
    }
    if (UNLIKELY((row->flags & needed) != needed || row->host < 0 || row->begun != 0 || fourth < 0 || size > TRANSFER_MAX)) {
        return false;
    }
    /* A file may have no room, and who waits is waiting until all is written. */
    if ((writes && row->flags & (GUEST_FILE | GUEST_WAITS)) ||
        !(writes ? tmebox_guest_in_window(instance, offset, size) : tmebox_guest_is_writable(instance, offset, size))) {
        return false;
    }
    int64_t value = tmebox_kernel_call6(kernels, row->host, (long)(instance->base + offset), (long)size, fourth, 0, 0);
    if (UNLIKELY(!is_over(row, value, size))) {
        return false;
    }
    all->fresh = NULL;
    all->refused = 0;
    if (kernels == SYS_pread64) {
        all->measured = NULL;
    }
    if (UNLIKELY(all->counts != NULL)) {
        all->counts[number]++;
    }
    activation->rax = (uint64_t)value;
    activation->rdx = 0;
    return true;
}

#ifdef __clang__
#pragma clang attribute pop
#endif
