/* System calls without Python: which there are. planning.c, moving.c, opening.c and accepting.c answer them.
 *
 * Nothing here or below may compute with floating-point numbers: their state is still the sandbox's. */
#include "enter/activation.h"
#include "enter/fibers.h"
#include "enter/kernelcall.h"
#include "enter/moving.h"
#include "enter/returns.h"

#include <errno.h>
#include <string.h>
#include <time.h>

int tmebox_answer(struct activation *activation);

static const bool PYTHON = false;

static bool done(int64_t *result, int64_t value) {
    *result = value;
    return true;
}

bool tmebox_guest_time(const struct guest_descriptors *descriptors, uint64_t clock, struct timespec *now) {
    return GUEST_IS_TOLD(descriptors, clock) && clock_gettime((clockid_t)clock, now) == 0;
}

static bool tell_time(const struct guest_call *call, int64_t *result) {
    struct timespec now;
    if (!tmebox_guest_time(call->all, (uint64_t)call->arguments[0], &now)) {
        return PYTHON;
    }
    return tmebox_guest_copy_out(call->instance, (uint64_t)call->arguments[1], &now, sizeof now) ? done(result, 0) : PYTHON;
}

static bool answer_otherwise(const struct guest_call *call, uint64_t number, int64_t *result) {
    switch (number) {
    case SYS_epoll_ctl:
        return tmebox_guest_epoll_control(call, result);
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
    case SYS_lseek:
        return tmebox_guest_seek(call, result);
    default:
        return PYTHON;
    }
}

/* Functions that leave errno as it is. */
static __attribute__((noinline)) bool answer_quietly(const struct guest_call *call, uint64_t number, int64_t *result) {
    int error = errno;
    bool answered = answer_otherwise(call, number, result);
    errno = error;
    return answered;
}

static enum plan_state make_plan(const struct guest_call *call, uint64_t number, struct guest_plan *plan) {
    switch (number) {
    case SYS_read:
    case SYS_write:
    case SYS_readv:
    case SYS_writev:
    case SYS_pread64:
    case SYS_pwrite64:
    case SYS_recvfrom:
    case SYS_sendto:
        return tmebox_guest_plan_move(call, number, plan);
    case SYS_epoll_wait:
    case SYS_epoll_pwait:
        return tmebox_guest_plan_events(call, plan);
    case SYS_sendfile:
        return tmebox_guest_plan_send_file(call, plan);
    default:
        return OTHERWISE;
    }
}

/* Inline, so that few functions return after the kernel was called: see planning.c. */
static inline __attribute__((always_inline)) bool answer(const struct guest_call *call, uint64_t number, int64_t *result) {
    struct guest_descriptors *all = call->all;
    struct guest_plan plan;
    bool answered = false;
    if (number != SYS_fstat) {
        all->fresh = NULL;
    }
    switch (make_plan(call, number, &plan)) {
    case FOR_KERNEL:
        answered = plan.finish(call, &plan,
                               tmebox_kernel_call6(plan.number, plan.arguments[0], plan.arguments[1], plan.arguments[2],
                                                   plan.arguments[3], plan.arguments[4], plan.arguments[5]),
                               result);
        break;
    case OTHERWISE:
        answered = answer_quietly(call, number, result);
        break;
    case FOR_PYTHON:
        break;
    }
    if (!answered) {
        all->measured = NULL; /* Python may do anything */
    } else if (all->counts != NULL) {
        all->counts[number % GUEST_CALLS]++;
    }
    return answered;
}

/* Arguments are in memory. If nothing answers, nothing has changed but `begun`. */
static bool answer_in_memory(const struct instance *instance, uint64_t number, uint64_t arguments_at, int64_t *result) {
    struct guest_descriptors *all = instance->running;
    struct guest_call call = {.instance = instance, .all = all};
    bool was_refused = all->refused == number + 1;
    all->refused = 0;
    if (number == TMEBOX_SYS_CALL_DEPTH) {
        return done(result, instance->depth);
    }
    bool known = tmebox_guest_copy_in(instance, call.arguments, arguments_at, sizeof call.arguments);
    all->asked = (struct guest_buffer){call.arguments[1], call.arguments[2]};
    if (was_refused || number >= GUEST_CALLS || !known) {
        all->fresh = NULL;
        all->measured = NULL;
        return PYTHON;
    }
    return answer(&call, number, result);
}

/* Where gates.S did not tell it. Less than 0 seconds: it is not told. */
static struct timespec time_in_registers(const struct instance *instance, uint64_t clock) {
    struct guest_descriptors *running = instance->running;
    struct timespec now = {.tv_sec = -1};
    if (running != NULL && tmebox_guest_time(running, clock, &now) && running->counts != NULL) {
        running->counts[SYS_clock_gettime]++;
    }
    return now;
}

static inline int give(struct activation *activation, uint64_t rax, uint64_t rdx) {
    activation->rax = rax;
    activation->rdx = rdx;
    activation->vectors[0] = activation->vectors[1] = 0;
    return 1;
}

/* What needs neither Python nor the GIL: as far as others can see, the sandbox was not left. Whether it is answered. */
int tmebox_answer(struct activation *activation) {
    const struct instance *instance = activation->instance;
    if (activation->index >= instance->import_count) {
        return 0;
    }
    const struct import *import = &instance->imports[activation->index];
    uint64_t number = activation->integers[0];
    int64_t result = 0;
    if (import->system && number - TMEBOX_SYS_DIRECT < GUEST_CALLS) {
        number -= TMEBOX_SYS_DIRECT;
        bool answered = false;
        if (LIKELY(instance->running != NULL)) {
            struct guest_call call = {.instance = instance, .all = instance->running};
            memcpy(call.arguments, &activation->integers[1], 5 * sizeof *call.arguments);
            answered = answer(&call, number, &result);
            instance->running->refused = answered ? 0 : number + 1;
        }
        return give(activation, (uint64_t)result, !answered);
    }
    if (import->system && number == TMEBOX_SYS_CLOCK) {
        struct timespec now = time_in_registers(instance, activation->integers[1]);
        return give(activation, (uint64_t)now.tv_sec, (uint64_t)now.tv_nsec);
    }
    if (import->system && instance->has_control &&
        (number == TMEBOX_SYS_LONGJMP ? tmebox_answer_jump(activation) : tmebox_answer_about_stack(activation))) {
        return 1;
    }
    if (import->native != NULL) {
        result = import->native(activation);
    } else if (instance->running == NULL || !import->system ||
               !answer_in_memory(instance, number, activation->integers[1], &result)) {
        return 0;
    }
    return give(activation, (uint64_t)result, 0);
}
