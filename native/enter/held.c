/* What control stacks hold: whether somebody may come back to a place by one, and what a trap left there. */
#include "enter/control.h"
#include "enter/enter.h"
#include "enter/returns.h"

#define MOST_LOOKED_AT (8ULL << 20) /* bytes, for which everybody waits who wants the GIL */
#define FRAME_COST 16               /* a frame that is walked over takes about as long as so many of them */

/* A frame may have any number of bytes, so that a return address may be anywhere. */
static bool holds(uint64_t lowest, uint64_t top, uint64_t start, uint64_t end) {
    for (uint64_t word; lowest + sizeof word <= top; lowest++) {
        memcpy(&word, (const void *)(uintptr_t)lowest, sizeof word);
        if (word - start < end - start) {
            return true;
        }
    }
    return false;
}

/* Of a stack that stands at a call and cannot go on meanwhile: from return address to return address, as longjmp goes, so
 * that what else is in a frame is no reason. Where the way is not known any further, which is returned, all bytes are to be
 * looked at; the top: it does not lead there; 0: it does, or is too long. */
static uint64_t walk(const struct control *control, uint64_t place, uint64_t top, uint64_t start, uint64_t end,
                     uint64_t *left) {
    for (uint64_t word; place + sizeof word <= top;) {
        memcpy(&word, (const void *)(uintptr_t)place, sizeof word);
        if (word - start < end - start || *left < FRAME_COST) {
            return 0;
        }
        *left -= FRAME_COST;
        int64_t depth = tmebox_depth_at(word);
        if (depth < 0) { /* the core called there */
            return word == TMEBOX_GATE_EXIT && control->calls == 1 ? top : place;
        }
        place += sizeof word + (uint64_t)depth;
    }
    return top;
}

/* Below rsp a thread that was interrupted may have the target of a jump that it has checked. */
#define BELOW 256

static_assert(-TMEBOX_SPILL_TARGET <= BELOW, "a checked target is kept there");

/* A thread that was interrupted may be about to jump there, by a register that it has checked. */
static bool interrupted_holds(const struct control *control, uint64_t start, uint64_t end) {
    const struct interrupted *state = &control->interrupted;
    bool found = state->rip - start < end - start;
    for (int i = 0; i < 16; i++) {
        found |= state->registers[i] - start < end - start;
    }
    return found;
}

/* `left`: how many bytes may still be looked at. Where they do not suffice the stack counts as one that holds it. */
static bool stack_holds(const struct control *control, uint64_t start, uint64_t end, uint64_t *left) {
    const struct instance *instance = control->instance;
    uint64_t lowest = (uint64_t)(uintptr_t)tmebox_control_page(control, control->open);
    uint64_t rsp = __atomic_load_n(&control->rsp, __ATOMIC_ACQUIRE);
    /* Whoever goes on there needs the GIL first. */
    bool waits = instance->depth == 0 || instance->in_host, walks = false;
    enum standing standing = atomic_load(&control->standing); /* after rsp: see slices.c */
    if (rsp != 0) {
        uint64_t below = standing == AT_A_CALL ? 0 : BELOW;
        int64_t above = (int64_t)(control->base + rsp - below - lowest); /* it may be below what it has touched */
        lowest += above > 0 ? (uint64_t)above : 0;
        walks = waits && standing == AT_A_CALL;
        if (standing != AT_A_CALL && interrupted_holds(control, start, end)) {
            return true;
        }
    } else if (standing != AT_A_CALL) {
        return true; /* it runs, and what it had checked when it was interrupted may still be in a register */
    } else if (control == instance->control && instance->in_host && !instance->interrupted) {
        lowest = instance->rsp;
        walks = true;
    }
    uint64_t top = control->base + control->top;
    if (walks && (lowest = walk(control, lowest, top, start, end, left)) == 0) {
        return true;
    }
    uint64_t size = top > lowest ? top - lowest : 0;
    if (size > *left) {
        return true;
    }
    *left -= size;
    return holds(lowest, top, start, end);
}

/* Of a sandbox that a trap has ended nothing goes on: a reset takes its stacks away before it can be called. */
static bool may_go_on(const struct instance *instance) {
    return !instance->dead || instance->paused || instance->depth != 0;
}

/* The text is gone: nothing calls it or goes on in it any more. So words that lead there only become fewer, and a stack can
 * be looked at while its owner runs. Where rsp is not known, it is all that can be touched: what was left below counts, too.
 * Only a thread that goes on after an interruption may have a new one, by a register: so none may have begun or ended one
 * meanwhile. */
bool tmebox_stacks_hold(uint64_t start, uint64_t end, uint64_t since) {
    uint64_t left = MOST_LOOKED_AT;
    for (const struct control *control = tmebox_owned_controls(); control != NULL; control = control->next) {
        if (!tmebox_is_in_use(control) || control->begun > since || control->ended || !may_go_on(control->instance)) {
            continue;
        }
        uint64_t changes = atomic_load(&control->changes);
        bool found = stack_holds(control, start, end, &left);
        atomic_thread_fence(memory_order_seq_cst);
        if (found || changes != atomic_load(&control->changes)) {
            return true;
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
    if (found == NULL) {
        return 0;
    }
    uint64_t size = size_bytes < found->top - offset ? size_bytes : found->top - offset;
    uint64_t first = (uint64_t)(uintptr_t)tmebox_control_page(found, found->open) - found->base; /* nothing was below */
    uint64_t none = offset < first ? first - offset : 0;
    none = none < size ? none : size;
    memset(to, 0, none);
    memcpy((char *)to + none, (const void *)(uintptr_t)(found->base + offset + none), size - none);
    return size;
}
