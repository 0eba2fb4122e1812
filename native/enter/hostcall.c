/* Sandboxed code calling a function the host offered. Everything that arrives is untrusted: the index, the
 * registers, and a stack pointer that may point anywhere in the window's private half. */
#include "enter/enter.h"

int tmebox_hostcall(struct activation *activation);

/* The GIL is held. The table of imports cannot change while a call runs; that of callbacks does, by who has the GIL. */
static const struct import *find(const struct instance *instance, uint64_t index) {
    if (LIKELY(index < instance->import_count)) {
        return &instance->imports[index];
    }
    uint64_t slot = index - TMEBOX_MAX_IMPORTS;
    bool known = index >= TMEBOX_MAX_IMPORTS && slot < instance->callback_count && instance->callbacks[slot] != NULL;
    return known ? &instance->callbacks[slot]->import : NULL;
}

/* 0, or -1 with the outcome decided. */
static int dispatch(struct activation *activation) {
    struct instance *instance = activation->instance;
    if (!tmebox_can_be_stack(instance, activation->rsp)) {
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
    int result = import->call(activation, import);
    if (result < 0 && activation->outcome == RETURNED) {
        activation->outcome = RAISED;
        /* On the stack of another thread of the sandbox's, which will never go on: the next call would begin as that
         * thread, on the first one's stack. */
        activation->fatal |= activation->rsp - instance->stack_low > instance->stack_top - instance->stack_low;
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
