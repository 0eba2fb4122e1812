/* Control stacks: what rsp points into while code runs whose stack's depth is verified. No address in any window
 * reaches them, and nothing but rsp points there.
 *
 * A thread's stack lies at the same offsets in its sandbox's window, the stack's twin, so the lower 32 bits of a control
 * stack's addresses are those offsets and a distance: each has the beginning of 4 GiB of addresses for itself, so that
 * whatever is near it is its own guard. The first thread's belongs to who runs, not to a sandbox: only calls need one,
 * and between calls it is empty. Whoever has it next finds zeros, unless it had it last. Other threads keep theirs
 * (fibers.c).
 *
 * Everything here is done with the GIL held. */
#include "enter/control.h"
#include "enter/enter.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

/* Windows are put as high as there is room. */
#define FIRST_PLACE 16
#define LAST_PLACE (1ULL << 15)
#define DISTANCE TMEBOX_TWIN_DISTANCE
#define PAGE 4096ULL
#define SIZE_UP_TO(end) (DISTANCE / PAGE * PAGE + PAGE + (end) + TMEBOX_GUARD)

static_assert(DISTANCE >= TMEBOX_CONTROL_GUARD, "frames reach so far below what is mapped");
static_assert(SIZE_UP_TO(TMEBOX_PRIVATE_END) <= TMEBOX_WINDOW_SIZE && SIZE_UP_TO(TMEBOX_SHARED_END) <= 2 * TMEBOX_WINDOW_SIZE,
              "each has its own addresses");

static struct control *unused[2]; /* the last one used first; narrow and wide ones */
static struct control *used;
static uint64_t clock_now;
static uint64_t next_place = FIRST_PLACE;
static uint64_t serials;
static uint32_t generation; /* of the process that they are mapped in: a forked child has none */

uint64_t tmebox_control_owner(void) {
    return ++serials;
}

static struct control *reserve(bool wide) {
    struct control *control = calloc(1, sizeof *control);
    uint64_t size = wide ? SIZE_UP_TO(TMEBOX_SHARED_END) : SIZE_UP_TO(TMEBOX_PRIVATE_END);
    for (; control != NULL && next_place + wide < LAST_PLACE; next_place++) {
        void *at = (void *)(next_place * TMEBOX_WINDOW_SIZE);
        int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
        void *start = mmap(at, size, PROT_NONE, flags, -1, 0);
        if (start == at) {
            madvise(start, size, MADV_DONTFORK);
            madvise(start, size, MADV_DONTDUMP);
            madvise(start, size, MADV_NOHUGEPAGE);
            next_place += 1 + wide;
            control->wide = wide;
            control->base = (uint64_t)(uintptr_t)at + DISTANCE;
            return control;
        }
        if (start != MAP_FAILED) { /* a kernel that does not know the flag */
            munmap(start, size);
        }
    }
    free(control);
    return NULL;
}

/* The distance is no multiple of a page: a control stack begins and ends a little later than its twin. */
static void *page_of(const struct control *control, uint64_t offset) {
    return (void *)(uintptr_t)((control->base + offset + PAGE - 1) / PAGE * PAGE);
}

static uint64_t pages(const struct control *control, uint64_t low, uint64_t top) {
    return (uint64_t)((char *)page_of(control, top) - (char *)page_of(control, low));
}

/* As it is for a new owner with so much of it. */
static bool clear(struct control *control, uint64_t low, uint64_t top) {
    uint64_t old_low = control->low, old_top = control->top;
    if (old_low < old_top &&
        madvise(page_of(control, old_low), pages(control, old_low, old_top), MADV_DONTNEED) < 0) {
        return false;
    }
    if (low != old_low || top != old_top) {
        if (old_low < old_top &&
            mprotect(page_of(control, old_low), pages(control, old_low, old_top), PROT_NONE) < 0) {
            return false;
        }
        control->low = control->top = 0;
        if (mprotect(page_of(control, low), pages(control, low, top), PROT_READ | PROT_WRITE) < 0) {
            mprotect(page_of(control, low), pages(control, low, top), PROT_NONE);
            return false;
        }
        control->low = low;
        control->top = top;
    }
    return true;
}

static void unlink_used(struct control *control) {
    *(control->previous != NULL ? &control->previous->next : &used) = control->next;
    if (control->next != NULL) {
        control->next->previous = control->previous;
    }
}

struct control *tmebox_get_control(const struct instance *instance, uint64_t low, uint64_t top) {
    uint64_t owner = instance->serial;
    bool wide = top > TMEBOX_PRIVATE_END;
    if (UNLIKELY(generation != tmebox_generation)) {
        generation = tmebox_generation;
        unused[0] = unused[1] = used = NULL;
        next_place = FIRST_PLACE;
    }
    struct control *control = unused[wide];
    if (LIKELY(control != NULL)) {
        unused[wide] = control->next;
    } else if ((control = reserve(wide)) == NULL) {
        PyErr_SetString(tmebox_limit_error, "there is no room for another control stack");
        return NULL;
    }
    if (control->owner != owner || control->low != low || control->top != top) {
        control->owner = 0;
        if (!clear(control, low, top)) {
            control->next = unused[wide];
            unused[wide] = control;
            PyErr_SetString(tmebox_limit_error, "the system has no memory for another control stack");
            return NULL;
        }
        control->owner = owner;
    }
    control->rsp = 0;
    control->calls = 0;
    control->ended = false;
    control->begun = ++clock_now;
    control->instance = instance;
    control->previous = NULL;
    control->next = used;
    if (used != NULL) {
        used->previous = control;
    }
    used = control;
    return control;
}

void tmebox_put_control(struct control *control) {
    unlink_used(control);
    control->next = unused[control->wide];
    unused[control->wide] = control;
}

bool tmebox_take_control(struct instance *instance) {
    uint64_t low = instance->stack_low - instance->base, top = instance->stack_top - instance->base;
    struct control *control = tmebox_get_control(instance, low, top);
    if (control == NULL) {
        return false;
    }
    instance->first = instance->control = control;
    instance->control_base = control->base;
    return true;
}

void tmebox_give_control(struct instance *instance) {
    struct control *first = instance->first;
    if (first != NULL) {
        instance->first = instance->control = NULL; /* its base stays: what a trap's message looks at */
        if (instance->generation == tmebox_generation) {
            tmebox_put_control(first);
        }
    }
}

uint64_t tmebox_control_clock(void) {
    return clock_now;
}

bool tmebox_stacks_hold(uint64_t start, uint64_t end, uint64_t since) {
    for (const struct control *control = generation == tmebox_generation ? used : NULL; control != NULL;
         control = control->next) {
        const struct instance *instance = control->instance;
        uint64_t rsp = control->rsp;
        if (control->begun > since || control->ended) {
            continue;
        }
        if (rsp == 0) {
            if (control != instance->control || !instance->in_host || instance->interrupted) {
                return true;
            }
            rsp = instance->rsp - control->base;
        }
        const uint64_t *word = (const uint64_t *)(uintptr_t)(control->base + rsp);
        for (; (uint64_t)(uintptr_t)word < control->base + control->top; word++) {
            if (*word - start < end - start) {
                return true;
            }
        }
    }
    return false;
}

static bool has(const struct control *control, uint64_t owner, uint64_t offset) {
    return control != NULL && control->owner == owner && offset >= control->low && offset <= control->top;
}

uint64_t tmebox_read_control(const struct instance *instance, uint64_t offset, void *to, uint64_t size_bytes) {
    const struct control *found = NULL;
    if (instance->generation != tmebox_generation) {
        return 0;
    }
    for (uint32_t i = 0; found == NULL && i < instance->fiber_count; i++) {
        found = has(instance->fibers[i], instance->serial, offset) ? instance->fibers[i] : NULL;
    }
    if (found == NULL && has(instance->first, instance->serial, offset)) {
        found = instance->first;
    }
    for (int wide = 0; wide < 2 && generation == tmebox_generation; wide++) {
        for (const struct control *other = unused[wide]; found == NULL && other != NULL; other = other->next) {
            found = has(other, instance->serial, offset) ? other : NULL;
        }
    }
    if (found == NULL) {
        return 0;
    }
    uint64_t size = size_bytes < found->top - offset ? size_bytes : found->top - offset;
    uint64_t first = (uint64_t)(uintptr_t)page_of(found, found->low) - found->base; /* its first page begins a little later */
    uint64_t none = offset < first ? first - offset : 0;
    none = none < size ? none : size;
    memset(to, 0, none);
    memcpy((char *)to + none, (const void *)(uintptr_t)(found->base + offset + none), size - none);
    return size;
}
