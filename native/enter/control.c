/* Control stacks: what rsp points into while code runs whose stack's depth is verified. No address in any window
 * reaches them, and nothing but rsp points there.
 *
 * A sandbox's stack lies at the same offsets in its window, the stack's twin, so the lower 32 bits of a control
 * stack's addresses are those offsets: each is a stretch at the beginning of 4 GiB of addresses that it has for itself.
 * It belongs to who runs, not to a sandbox: only calls need one, and between calls it is empty. Whoever has it next
 * finds zeros, unless it had it last.
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
#define SIZE (DISTANCE / 4096 * 4096 + 4096 + TMEBOX_STACK_TOP + TMEBOX_GUARD)

struct control {
    uint64_t base; /* a multiple of the window's size */
    uint64_t low;  /* offset of what is mapped */
    uint64_t owner;
    struct control *next;
};

static struct control *unused; /* the last one used first */
static uint64_t next_place = FIRST_PLACE;
static uint64_t serials;
static uint32_t generation; /* of the process that they are mapped in: a forked child has none */

uint64_t tmebox_control_owner(void) {
    return ++serials;
}

static struct control *reserve(void) {
    struct control *control = calloc(1, sizeof *control);
    for (; control != NULL && next_place < LAST_PLACE; next_place++) {
        void *at = (void *)(next_place * TMEBOX_WINDOW_SIZE);
        int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
        void *start = mmap(at, SIZE, PROT_NONE, flags, -1, 0);
        if (start == at) {
            madvise(start, SIZE, MADV_DONTFORK);
            madvise(start, SIZE, MADV_DONTDUMP);
            next_place++;
            control->base = (uint64_t)(uintptr_t)at + DISTANCE;
            control->low = TMEBOX_STACK_TOP;
            return control;
        }
        if (start != MAP_FAILED) { /* a kernel that does not know the flag */
            munmap(start, SIZE);
        }
    }
    free(control);
    return NULL;
}

/* As it is for a new owner with so much of it. */
static bool clear(struct control *control, uint64_t low) {
    /* The distance is no multiple of a page: a control stack ends a little earlier than its twin. */
    char *base = (char *)(uintptr_t)((control->base + 4095) / 4096 * 4096);
    uint64_t top = TMEBOX_STACK_TOP;
    if (control->low < TMEBOX_STACK_TOP && madvise(base + control->low, top - control->low, MADV_DONTNEED) < 0) {
        return false;
    }
    if (low != control->low && (mprotect(base + TMEBOX_STACK_LOWEST, top - TMEBOX_STACK_LOWEST, PROT_NONE) < 0 ||
                                mprotect(base + low, top - low, PROT_READ | PROT_WRITE) < 0)) {
        control->low = TMEBOX_STACK_LOWEST; /* whatever is mapped is cleared the next time */
        return false;
    }
    control->low = low;
    return true;
}

bool tmebox_take_control(struct instance *instance) {
    if (UNLIKELY(generation != tmebox_generation)) {
        generation = tmebox_generation;
        unused = NULL;
        next_place = FIRST_PLACE;
    }
    struct control *control = unused;
    if (LIKELY(control != NULL)) {
        unused = control->next;
    } else if ((control = reserve()) == NULL) {
        PyErr_SetString(tmebox_limit_error, "there is no room for another control stack");
        return false;
    }
    uint64_t low = instance->stack_low - instance->base;
    if (control->owner != instance->serial || control->low != low) {
        control->owner = 0;
        if (!clear(control, low)) {
            control->next = unused;
            unused = control;
            PyErr_SetString(tmebox_limit_error, "the system has no memory for another control stack");
            return false;
        }
        control->owner = instance->serial;
    }
    instance->control = control;
    instance->control_base = control->base;
    return true;
}

void tmebox_give_control(struct instance *instance) {
    struct control *control = instance->control;
    if (control != NULL) {
        instance->control = NULL; /* its base stays: what a trap's message looks at */
        control->next = unused;
        unused = control;
    }
}

bool tmebox_read_control(const struct instance *instance, uint64_t offset, void *to, uint64_t size_bytes) {
    const struct control *control = instance->control;
    for (const struct control *other = unused; control == NULL && other != NULL; other = other->next) {
        control = other->owner == instance->serial ? other : NULL;
    }
    if (control == NULL || offset < control->low || offset > TMEBOX_STACK_TOP || size_bytes > TMEBOX_STACK_TOP - offset) {
        return false;
    }
    memcpy(to, (const void *)(uintptr_t)(control->base + offset), size_bytes);
    return true;
}
