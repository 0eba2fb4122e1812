/* Calls of a guest's that become one call of the kernel's. The plan is made, and functions return, before the kernel is
 * called: on processors whose kernel guards its returns, each return to a caller of before is predicted wrong afterwards,
 * which takes 6 ns.
 *
 * What is little goes by way of a buffer, and tmebox_window_copy finds out what an address leads to. For more, the kernel
 * gets addresses in the window, once they were checked: where the sandbox may write, or read. From there on it is memory
 * of the sandbox's like any other, or a fault, which the kernel answers with EFAULT, or a short count. Then it is done
 * piece by piece: pages that nobody has touched are not there for the kernel. */
#include "enter/instance.h"
#include "enter/kernelcall.h"
#include "enter/moving.h"
#include "threads/thread.h"

#include <errno.h>
#include <unistd.h>

#define SENDFILE_MAX (1 << 20)
/* Events are waited for without Python. Who has the GIL is the only thread, and the watchdog's signal ends the wait. A
 * shorter time than the clock's tick would set the processor's timer at each wait. */
#define EVENTS_MS 10
#define IDLE 16

static_assert(sizeof(struct epoll_event) == 12, "as the guest has it");

/* -- reading and writing -------------------------------------------------------------------------------- */
/* Whether a call is not over with what the kernel said. */
static bool goes_on(const struct guest_plan *plan, int64_t value) {
    const struct guest_move *move = &plan->move;
    if (value < 0) {
        return (value == -EFAULT && !plan->bounced) || (value == -EAGAIN && move->row->flags & GUEST_WAITS);
    }
    return value != 0 && (uint64_t)value < move->moved.size &&
           (move->writes ? move->row->flags & (GUEST_FILE | GUEST_WAITS) : move->row->flags & GUEST_FILE && !plan->bounced);
}

static bool finish_move(const struct guest_call *call, struct guest_plan *plan, int64_t value, int64_t *result) {
    struct guest_move *move = &plan->move;
    if (UNLIKELY(goes_on(plan, value))) {
        return tmebox_guest_move_rest(call, move, value > 0 ? (uint64_t)value : 0, result);
    }
    if (plan->bounced && !move->writes && value > 0 &&
        !tmebox_guest_copy_next(call->instance, &move->moved, plan->little, (uint64_t)value, false)) {
        value = -EFAULT;
    }
    *result = value;
    tmebox_guest_settle(call, move, true, value);
    return true;
}

static void plan_one(struct guest_plan *plan, long number, long a, long b, long c, long d) {
    plan->number = number;
    plan->arguments[0] = a;
    plan->arguments[1] = b;
    plan->arguments[2] = c;
    plan->arguments[3] = d;
    plan->arguments[4] = plan->arguments[5] = 0;
}

static void plan_stretch(struct guest_plan *plan, void *place) {
    const struct guest_move *move = &plan->move;
    bool socket = move->row->flags & GUEST_SOCKET, own = move->position < 0;
    long number = move->writes ? (socket ? SYS_sendto : own ? SYS_write : SYS_pwrite64)
                               : (socket ? SYS_recvfrom : own ? SYS_read : SYS_pread64);
    plan_one(plan, number, move->row->host, (long)place, (long)move->moved.size,
             socket ? MSG_DONTWAIT | (move->writes ? MSG_NOSIGNAL : 0) : move->position);
}

static void plan_stretches(const struct instance *instance, struct guest_plan *plan) {
    const struct guest_move *move = &plan->move;
    bool own = move->position < 0;
    long count = 0;
    for (uint32_t i = 0; i < move->moved.count; i++) {
        const struct part *part = &move->moved.parts[i];
        if (part->size != 0) {
            plan->vectors[count++] = (struct iovec){(void *)(instance->base + part->offset), part->size};
        }
    }
    if (move->row->flags & GUEST_SOCKET) {
        plan->message = (struct msghdr){.msg_iov = plan->vectors, .msg_iovlen = (size_t)count};
        plan_one(plan, move->writes ? SYS_sendmsg : SYS_recvmsg, move->row->host, (long)&plan->message,
                 MSG_DONTWAIT | (move->writes ? MSG_NOSIGNAL : 0), 0);
    } else {
        long number = move->writes ? (own ? SYS_writev : SYS_pwritev) : (own ? SYS_readv : SYS_preadv);
        plan_one(plan, number, move->row->host, (long)plan->vectors, count, own ? 0 : move->position);
    }
}

enum plan_state tmebox_guest_plan_move(const struct guest_call *call, uint64_t number, struct guest_plan *plan) {
    struct guest_move *move = &plan->move;
    if (!tmebox_guest_prepare_move(call, number, move)) {
        return FOR_PYTHON;
    }
    plan->finish = finish_move;
    plan->bounced = move->moved.size <= LITTLE;
    if (plan->bounced) {
        if (move->writes && !tmebox_guest_copy_next(call->instance, &move->moved, plan->little, move->moved.size, true)) {
            return FOR_PYTHON;
        }
        plan_stretch(plan, plan->little);
    } else if (move->moved.count == 1) {
        plan_stretch(plan, (void *)(call->instance->base + move->moved.parts[0].offset));
    } else {
        plan_stretches(call->instance, plan);
    }
    return FOR_KERNEL;
}

/* -- events --------------------------------------------------------------------------------------------- */
static bool is_patient(int timeout) {
    return timeout < 0 || timeout > EVENTS_MS;
}

static bool finish_events(const struct guest_call *call, struct guest_plan *plan, int64_t value, int64_t *result) {
    int timeout = (int)call->arguments[3];
    if (value == 0 && timeout != 0 && plan->arguments[3] == 0) {
        call->all->idle = IDLE;
        value = tmebox_kernel_call4(SYS_epoll_wait, plan->arguments[0], plan->arguments[1], plan->arguments[2],
                                    is_patient(timeout) ? EVENTS_MS : timeout);
    }
    if (value < 0 || (value == 0 && is_patient(timeout))) {
        return false;
    }
    call->all->answered++;
    size_t size = (size_t)value * sizeof *plan->events;
    bool good = size == 0 || tmebox_guest_copy_out(call->instance, plan->told_at, plan->events, size);
    *result = good ? value : -EFAULT;
    return true;
}

/* Where something was there the last time, at first without waiting: the kernel needs 140 ns to find out until when it
 * would wait. Where nothing was, the next few wait at once. */
enum plan_state tmebox_guest_plan_events(const struct guest_call *call, struct guest_plan *plan) {
    const struct guest_descriptor *row = tmebox_guest_find(call, call->arguments[0], GUEST_EPOLL);
    int64_t most = call->arguments[2];
    int timeout = (int)call->arguments[3];
    if (row == NULL || most <= 0) {
        return FOR_PYTHON;
    }
    most = most < EVENTS ? most : EVENTS;
    plan->told_at = (uint64_t)call->arguments[1];
    if (!tmebox_guest_is_writable(call->instance, plan->told_at, (uint64_t)most * sizeof *plan->events)) {
        return FOR_PYTHON;
    }
    if (call->all->idle == 0) {
        timeout = 0;
    } else {
        call->all->idle--;
    }
    plan->finish = finish_events;
    plan_one(plan, SYS_epoll_wait, row->host, (long)plan->events, most, is_patient(timeout) ? EVENTS_MS : timeout);
    return FOR_KERNEL;
}

/* -- files that are sent -------------------------------------------------------------------------------- */
static bool finish_sending(const struct guest_call *call, struct guest_plan *plan, int64_t value, int64_t *result) {
    bool good = value < 0 || plan->told_at == 0 ||
                tmebox_guest_copy_out(call->instance, plan->told_at, &plan->position, sizeof plan->position);
    *result = good ? value : -EFAULT;
    return true;
}

/* The same for what was read and then sent. */
static bool finish_little(const struct guest_call *call, struct guest_plan *plan, int64_t value, int64_t *result) {
    if (value > 0 && plan->where != NULL) {
        *plan->where += value;
    } else if (value > 0) {
        lseek(plan->move.row->host, plan->position + value, SEEK_SET);
    }
    return finish_sending(call, plan, value, result);
}

/* Little is copied: sendfile() would take longer, and has no flag against SIGPIPE. */
static enum plan_state plan_little(struct guest_plan *plan, int out, int64_t size) {
    int in = plan->move.row->host;
    int64_t position = plan->where != NULL ? *plan->where : lseek(in, 0, SEEK_CUR);
    int64_t got = position < 0 ? -1 : tmebox_kernel_call4(SYS_pread64, in, (long)plan->little, size, position);
    if (got < 0) {
        return FOR_PYTHON;
    }
    if (plan->where == NULL) {
        plan->position = position;
    }
    plan->finish = finish_little;
    plan_one(plan, SYS_sendto, out, (long)plan->little, got, MSG_DONTWAIT | MSG_NOSIGNAL);
    return FOR_KERNEL;
}

enum plan_state tmebox_guest_plan_send_file(const struct guest_call *call, struct guest_plan *plan) {
    const struct guest_descriptor *out = tmebox_guest_find(call, call->arguments[0], GUEST_SOCKET | GUEST_WRITES);
    struct guest_descriptor *in = tmebox_guest_find(call, call->arguments[1], GUEST_FILE | GUEST_PLACED | GUEST_READS);
    uint64_t size = (uint64_t)call->arguments[3];
    if (out == NULL || in == NULL || out->flags & GUEST_WAITS ||
        (size > LITTLE_OF_A_FILE && !tmebox_quiet_pipes(call->instance->thread))) {
        return FOR_PYTHON;
    }
    plan->told_at = (uint64_t)call->arguments[2];
    if (plan->told_at != 0 &&
        (!tmebox_guest_copy_in(call->instance, &plan->position, plan->told_at, sizeof plan->position) || plan->position < 0 ||
         !tmebox_guest_is_writable(call->instance, plan->told_at, sizeof plan->position))) {
        return FOR_PYTHON;
    }
    plan->where = plan->told_at != 0 ? &plan->position : in->flags & GUEST_NEW ? &in->position : NULL;
    plan->move.row = in;
    call->all->measured = NULL;
    if (size <= LITTLE_OF_A_FILE) {
        return plan_little(plan, out->host, (int64_t)size);
    }
    plan->finish = finish_sending;
    plan_one(plan, SYS_sendfile, out->host, in->host, (long)plan->where, (long)(size < SENDFILE_MAX ? size : SENDFILE_MAX));
    return FOR_KERNEL;
}
