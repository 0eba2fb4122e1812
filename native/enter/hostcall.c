/* Sandboxed code calling a function the host offered. Everything that arrives is untrusted: the index, the
 * registers, and a stack pointer that may point anywhere in the window's private half. */
#include "enter/control.h"
#include "enter/enter.h"
#include "enter/fibers.h"
#include "enter/returns.h"

int tmebox_hostcall(struct activation *activation);

/* The GIL is held. The table of imports cannot change while a call runs; that of callbacks does, by who has the GIL. */
static const struct import *find(const struct instance *instance, uint64_t index) {
    if (LIKELY(index < instance->import_count)) {
        return &instance->imports[index];
    }
    uint64_t slot = index - TMEBOX_MAX_IMPORTS;
    if (index >= TMEBOX_MAX_IMPORTS && slot < instance->callback_count && instance->callbacks[slot] != NULL) {
        return &instance->callbacks[slot]->import;
    }
    return index >= TMEBOX_MAX_IMPORTS && slot < instance->callback_first ? instance->callback_lost : NULL;
}

/* Without the GIL nothing may be waited for here, so that who has it can wait for this. */
static bool walk(struct activation *activation, uint64_t offset, uint64_t address) {
    if (LIKELY(activation->holds_gil)) {
        return tmebox_longjmp(activation, offset, address);
    }
    bool may = tmebox_begin_walk(activation->thread);
    bool good = may && tmebox_longjmp(activation, offset, address);
    if (may) {
        tmebox_end_walk(activation->thread);
    }
    return good;
}

static struct window_fault try_jump(struct activation *activation) {
    const struct instance *instance = activation->instance;
    const uint64_t *from = (const uint64_t *)(instance->base + (uint32_t)activation->integers[1]);
    uint64_t wanted[3];
    struct window_fault fault = {0};
    for (int i = 0; i < 3 && fault.how == 0; i++) { /* each was just written, and comes sooner as it was */
        fault = tmebox_window_copy(&wanted[i], &from[i], sizeof wanted[i]);
    }
    if (fault.how == 0 && !walk(activation, (uint32_t)wanted[0], wanted[0] >> 32)) {
        fault = (struct window_fault){0, SIGILL | 0xff << 8 | (uint64_t)ILL_BADSTK << 32};
    }
    if (fault.how == 0) {
        activation->rax = wanted[1];
        activation->rdx = wanted[2];
        activation->vectors[0] = activation->vectors[1] = 0;
    }
    return fault;
}

bool tmebox_answer_jump(struct activation *activation) {
    return try_jump(activation).how == 0;
}

/* 0, or -1 with the outcome decided. */
static int jump(struct activation *activation) {
    struct window_fault fault = try_jump(activation);
    if (fault.how != 0) {
        tmebox_trap_in_host(activation, fault);
        return -1;
    }
    return 0;
}

static int begin_thread(struct activation *activation) {
    const uint64_t *words = activation->integers;
    activation->rax = (uint64_t)tmebox_begin_fiber(activation->instance, words[1], words[2], words[3]);
    activation->rdx = activation->vectors[0] = activation->vectors[1] = 0;
    return 0;
}

static int dispatch(struct activation *activation) {
    struct instance *instance = activation->instance;
    if (!tmebox_can_be_stack(instance, tmebox_in_window(instance, activation->rsp))) {
        tmebox_trap_in_host(activation,
                            (struct window_fault){activation->rsp, SIGSEGV | (uint64_t)SEGV_MAPERR << 32});
        return -1;
    }
    const struct import *import = find(instance, activation->index);
    if (import == NULL) {
        tmebox_trap_in_host(activation,
                            (struct window_fault){0, SIGILL | 0xff << 8 | (uint64_t)ILL_ILLTRP << 32});
        return -1;
    }
    if (import->system && instance->has_control) {
        bool jumps = activation->integers[0] == TMEBOX_SYS_LONGJMP;
        if (jumps || activation->integers[0] == TMEBOX_SYS_BEGIN_THREAD) {
            return jumps ? jump(activation) : begin_thread(activation);
        }
    }
    int result = import->call(activation, import);
    if (result < 0 && activation->outcome == RETURNED) {
        activation->outcome = RAISED;
        /* On the stack of another thread of the sandbox's, which will never go on: the next call would begin as that
         * thread, on the first one's stack. */
        activation->fatal |= !instance->has_control &&
                             activation->rsp - instance->stack_low > instance->stack_top - instance->stack_low;
    }
    return result;
}

int tmebox_hostcall(struct activation *activation) {
    tmebox_suspend(activation);
    if (dispatch(activation) < 0) {
        activation->thread->current = activation;
        return -1;
    }
    return tmebox_resume(activation);
}
