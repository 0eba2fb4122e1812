/* Threads of a sandbox, which take turns on the host thread that called it: each has a control stack of its own.
 *
 * Whose turn it is the sandbox decides. Here is what it takes for its returns to stay what its calls were: a thread
 * goes on exactly where it stood, once; a call of the host's ends on the stack that it began on; and no stack goes away
 * that anybody may come back to. */
#include "enter/fibers.h"
#include "enter/control.h"
#include "enter/returns.h"
#include "enter/slices.h"

#include <errno.h>
#include <string.h>
#include <stdlib.h>

#define LEAST_ROOM (16ULL << 10)
#define MOST_OF_ALL 4096 /* of all sandboxes of the process */
#define SHARE 4          /* one sandbox has at most such a part of what the others leave: so some are always left */

/* No thread's first function returns: it would find this. */
#define NOWHERE GATE_RETURN(GATE_NOWHERE_OFFSET)

static struct control **fiber(struct instance *instance, uint64_t number) {
    return number - 1 < instance->fiber_count ? &instance->fibers[number - 1] : NULL;
}

/* The lowest number that no thread has. */
static uint32_t free_number(const struct instance *instance) {
    uint32_t i = 0;
    while (i < instance->fiber_count && instance->fibers[i] != NULL) {
        i++;
    }
    return i + 1;
}

/* The place in the table of a thread with this number, which nobody has; or NULL. */
static struct control **new_place(struct instance *instance, uint32_t number) {
    if (number - 1 >= TMEBOX_MOST_FIBERS) {
        return NULL;
    }
    uint32_t count = instance->fiber_count < 8 ? 8 : instance->fiber_count;
    while (count < number) {
        count *= 2;
    }
    if (count > instance->fiber_count) {
        struct control **table = realloc(instance->fibers, count * sizeof *table);
        if (table == NULL) {
            return NULL;
        }
        for (uint32_t i = instance->fiber_count; i < count; i++) {
            table[i] = NULL;
        }
        instance->fibers = table;
        instance->fiber_count = count;
    }
    return &instance->fibers[number - 1];
}

static uint64_t bottom_of(uint64_t top) {
    return (top & ~31ULL) - 8; /* as if a call had led to the first function, with rsp a multiple of 32 before it */
}

static uint64_t room_of(uint64_t low, uint64_t top) {
    return top - low > LEAST_ROOM ? top - low : LEAST_ROOM; /* nothing else is near it */
}

/* Of all sandboxes, with the GIL held. Each takes addresses that windows, and control stacks of calls, could have. */
static uint32_t standing;
static uint32_t generation;

/* For one more. All stacks of a sandbox's threads may have as much together as its heap. */
static bool has_room(const struct instance *instance, uint64_t room) {
    if (generation != tmebox_generation) {
        generation = tmebox_generation;
        standing = 0;
    }
    uint32_t own = 0;
    for (uint32_t i = 0; i < instance->fiber_count; i++) {
        if (instance->fibers[i] != NULL) {
            own++;
            room += instance->fibers[i]->top - instance->fibers[i]->low;
        }
    }
    return room <= instance->fiber_room && own < (MOST_OF_ALL - (standing - own)) / SHARE;
}

static void put(struct control *control) {
    control->ended = false;
    tmebox_put_control(control);
    standing--;
}

/* One with that number, which nobody has, in the table; or NULL. */
static struct control **new_fiber(struct instance *instance, uint32_t number, uint64_t low, uint64_t top) {
    uint64_t room = room_of(low, top);
    struct control **place = has_room(instance, room) ? new_place(instance, number) : NULL;
    if (place != NULL && (*place = tmebox_get_control(instance, top - room, top)) == NULL) {
        PyErr_Clear();
        return NULL;
    }
    if (place != NULL) {
        (*place)->of_thread = true;
        (*place)->number = number;
        standing++;
    }
    return place;
}

static bool is_range(uint64_t low, uint64_t top) {
    return low < top && top <= TMEBOX_SHARED_END && low >= TMEBOX_STACK_LOWEST && top - low >= 64 && top % 8 == 0;
}

bool tmebox_is_stack(uint64_t low, uint64_t top, const uint64_t *words, uint64_t count) {
    if (!is_range(low, top) || count < 2 || count > (top - low) / 8) {
        return false;
    }
    uint64_t last = count - (top - bottom_of(top)) / 8; /* index of the word that the first function would return to */
    if (last >= count || words[last] != NOWHERE) {
        return false;
    }
    if (last == 1) {
        return tmebox_is_function(words[0]) || tmebox_depth_at(words[0]) == 0;
    }
    for (uint64_t at = 0; at < last;) {
        int64_t depth = tmebox_depth_at(words[at]);
        if (depth < 0 || depth % 8 != 0) {
            return false;
        }
        at += 1 + (uint64_t)depth / 8;
        if (at == last) {
            return true;
        }
    }
    return false;
}

bool tmebox_restore_fiber(struct instance *instance, uint32_t number, uint64_t low, uint64_t top, const uint64_t *words,
                          uint64_t count) {
    /* Its first page begins later than `low`, by less than a page. */
    if (!tmebox_is_stack(low, top, words, count) || 8 * count + TMEBOX_PAGE_SIZE > room_of(low, top)) {
        PyErr_SetString(PyExc_ValueError, "not what a thread's stack can hold");
        return false;
    }
    struct control **place = new_fiber(instance, number, low, top);
    if (place == NULL) {
        PyErr_SetString(tmebox_limit_error, "there is no room for another control stack");
        return false;
    }
    struct control *control = *place;
    uint64_t rsp = top - 8 * count;
    tmebox_open_control(control, rsp - TMEBOX_PAGE_SIZE);
    if (rsp < control->open + TMEBOX_PAGE_SIZE) { /* the system has no memory for more of it */
        *place = NULL;
        put(control);
        PyErr_SetString(tmebox_limit_error, "the system has no memory for another control stack");
        return false;
    }
    control->rsp = rsp;
    memcpy((void *)(uintptr_t)(control->base + rsp), words, 8 * count);
    return true;
}

int64_t tmebox_begin_fiber(struct instance *instance, uint64_t function, uint64_t low, uint64_t top) {
    if (!is_range(low, top) || !tmebox_is_function(function)) {
        return -EINVAL;
    }
    tmebox_bury_fibers(instance);
    struct control **place = new_fiber(instance, free_number(instance), low, top);
    if (place == NULL) {
        return -EAGAIN;
    }
    /* It stands before the function, where a host call returns to. */
    (*place)->rsp = bottom_of(top) - 8;
    uint64_t *words = (uint64_t *)(uintptr_t)((*place)->base + (*place)->rsp);
    words[0] = function;
    words[1] = NOWHERE;
    return (*place)->number;
}

/* Nobody can go on there; whoever begins a thread next gets it. */
static void end(struct control *control) {
    atomic_fetch_add(&control->changes, 1);
    atomic_store(&control->standing, AT_A_CALL);
    __atomic_store_n(&control->rsp, 0, __ATOMIC_RELEASE);
    control->ended = true;
}

bool tmebox_switch_fiber(struct activation *activation, uint64_t number, uint64_t ends) {
    struct instance *instance = activation->instance;
    struct control *from = instance->control, **to = number == 0 ? &instance->first : fiber(instance, number);
    if (to == NULL || *to == NULL || (*to)->rsp == 0) {
        return false;
    }
    atomic_store_explicit(&from->standing, AT_A_CALL, memory_order_relaxed);
    from->rsp = activation->rsp - from->base;
    instance->control = *to;
    instance->control_base = (*to)->base;
    activation->rsp = (*to)->base + (*to)->rsp;
    uint64_t turns = atomic_load_explicit(&activation->thread->turns, memory_order_relaxed) + 1;
    atomic_store_explicit(&activation->thread->turns, turns, memory_order_release);
    if ((*to)->standing == AT_A_CALL) { /* else it has not stood up yet: tmebox_go_on */
        (*to)->rsp = 0;
    }
    if (ends != 0 && from->calls == 0 && from != instance->first) { /* another one stands there for ever */
        end(from);
    }
    struct control **other = fiber(instance, ends - 1);
    if (ends > 1 && other != NULL && *other != NULL && *other != *to && (*other)->calls == 0) {
        end(*other);
    }
    return true;
}

/* What ended without the GIL. */
void tmebox_bury_fibers(struct instance *instance) {
    for (uint32_t i = 0; instance->generation == tmebox_generation && i < instance->fiber_count; i++) {
        struct control *control = instance->fibers[i];
        if (control != NULL && control->ended) {
            instance->fibers[i] = NULL;
            put(control);
        }
    }
}

void tmebox_end_fibers(struct instance *instance) {
    for (uint32_t i = 0; instance->generation == tmebox_generation && i < instance->fiber_count; i++) {
        if (instance->fibers[i] != NULL) {
            put(instance->fibers[i]);
        }
    }
    instance->slices = 0;
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

bool tmebox_answer_about_stack(struct activation *activation) {
    const uint64_t *words = activation->integers;
    uint64_t word = 0;
    if (words[0] == TMEBOX_SYS_SWITCH_THREAD) {
        bool good = tmebox_switch_fiber(activation, words[1], words[2]);
        if (good && tmebox_was_interrupted(activation->instance->control)) {
            tmebox_go_on(activation->instance->control);
        }
        activation->rax = good ? 0 : (uint64_t)-1;
    } else if (words[0] == TMEBOX_SYS_CALL_DEPTH) {
        activation->rax = activation->instance->depth;
    } else if (words[0] == TMEBOX_SYS_SLICES) {
        tmebox_end_turns(activation, words[1] == 1, words[2]);
        activation->rax = 0;
    } else if (words[0] == TMEBOX_SYS_READ_STACK) {
        activation->rax = tmebox_read_stack(activation, words[1], &word) ? 0 : (uint64_t)-1;
    } else {
        return false;
    }
    activation->rdx = word;
    activation->vectors[0] = activation->vectors[1] = 0;
    return true;
}
