/* Threads of a sandbox, which take turns on the host thread that called it: each has a control stack of its own.
 *
 * Whose turn it is the sandbox decides. Here is what it takes for its returns to stay what its calls were: a thread
 * goes on exactly where it stood, once; a call of the host's ends on the stack that it began on; and no stack goes away
 * that anybody may come back to. */
#include "enter/fibers.h"
#include "enter/control.h"
#include "enter/returns.h"

#include <errno.h>
#include <stdlib.h>

#define LEAST_ROOM (64 << 10)

/* No thread's first function returns: it would find this. */
#define NOWHERE GATE_RETURN(GATE_NOWHERE_OFFSET)

static struct control **fiber(struct instance *instance, uint64_t number) {
    return number - 1 < instance->fiber_count ? &instance->fibers[number - 1] : NULL;
}

/* A place in the table, or NULL. */
static struct control **free_place(struct instance *instance) {
    for (uint32_t i = 0; i < instance->fiber_count; i++) {
        if (instance->fibers[i] == NULL) {
            return &instance->fibers[i];
        }
    }
    if (instance->fiber_count >= TMEBOX_MOST_FIBERS) {
        return NULL;
    }
    uint32_t count = instance->fiber_count < 8 ? 8 : 2 * instance->fiber_count;
    struct control **table = realloc(instance->fibers, count * sizeof *table);
    if (table == NULL) {
        return NULL;
    }
    for (uint32_t i = instance->fiber_count; i < count; i++) {
        table[i] = NULL;
    }
    instance->fibers = table;
    struct control **place = &table[instance->fiber_count];
    instance->fiber_count = count;
    return place;
}

int64_t tmebox_begin_fiber(struct instance *instance, uint64_t function, uint64_t low, uint64_t top) {
    if (low >= top || top > TMEBOX_PRIVATE_END || low < TMEBOX_STACK_LOWEST || top - low < 64 || top % 8 != 0 ||
        !tmebox_is_function(function)) {
        return -EINVAL;
    }
    tmebox_bury_fibers(instance);
    uint64_t room = top - low > LEAST_ROOM ? top - low : LEAST_ROOM; /* nothing else is near it */
    struct control **place = free_place(instance), *control = NULL;
    if (place != NULL && (control = tmebox_get_control(instance, top - room, top)) == NULL) {
        PyErr_Clear();
    }
    if (control == NULL) {
        return -EAGAIN;
    }
    *place = control;
    /* As if a call had led to the function, with rsp a multiple of 32 before it; and as if it stood before the function,
     * where a host call returns to. */
    control->rsp = (top & ~31ULL) - 16;
    uint64_t *words = (uint64_t *)(uintptr_t)(control->base + control->rsp);
    words[0] = function;
    words[1] = NOWHERE;
    return place - instance->fibers + 1;
}

bool tmebox_switch_fiber(struct activation *activation, uint64_t number, bool ends) {
    struct instance *instance = activation->instance;
    struct control *from = instance->control, **to = number == 0 ? &instance->first : fiber(instance, number);
    if (to == NULL || *to == NULL || (*to)->rsp == 0 || (ends && (from->calls != 0 || from == instance->first))) {
        return false;
    }
    from->rsp = activation->rsp - from->base;
    instance->control = *to;
    instance->control_base = (*to)->base;
    activation->rsp = (*to)->base + (*to)->rsp;
    (*to)->rsp = 0;
    if (ends) {
        from->rsp = 0; /* nobody can go on there; whoever begins a thread next gets it */
        from->ended = true;
    }
    return true;
}

/* What ended without the GIL. */
void tmebox_bury_fibers(struct instance *instance) {
    for (uint32_t i = 0; i < instance->fiber_count; i++) {
        struct control *control = instance->fibers[i];
        if (control != NULL && control->ended) {
            instance->fibers[i] = NULL;
            control->ended = false;
            tmebox_put_control(control);
        }
    }
}

void tmebox_end_fibers(struct instance *instance) {
    for (uint32_t i = 0; instance->generation == tmebox_generation && i < instance->fiber_count; i++) {
        if (instance->fibers[i] != NULL) {
            instance->fibers[i]->ended = false;
            tmebox_put_control(instance->fibers[i]);
        }
    }
    free(instance->fibers);
    instance->fibers = NULL;
    instance->fiber_count = 0;
}

bool tmebox_read_stack(const struct activation *activation, uint64_t offset, uint64_t *word) {
    const struct instance *instance = activation->instance;
    uint64_t address = instance->control_base + offset, end = instance->control_base + instance->control->top;
    bool good = offset <= instance->control->top && address % 8 == 0 && address >= activation->rsp && address <= end - 8;
    *word = good ? *(const uint64_t *)(uintptr_t)address : 0;
    return good;
}
