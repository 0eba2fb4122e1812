/* Control stacks: what rsp points into while code runs whose stack's depth is verified. No address in any window
 * reaches them, and nothing but rsp points there.
 *
 * A thread's stack lies at the same offsets in its sandbox's window, the stack's twin, so the lower 32 bits of a control
 * stack's addresses are those offsets and a distance: each has the beginning of 4 GiB of addresses for itself, or 8 GiB
 * where offsets are so high, so that whatever is near it is its own guard. The first thread's belongs to who runs, not to a
 * sandbox: only calls need one, and between calls it is empty. A sandbox keeps the one that it had last, until there are
 * too many. Whoever has it next finds zeros. Other threads keep theirs (fibers.c).
 *
 * Code reads what lies below rsp and was another owner's, so that has to go. Only what is near the top can be touched at
 * first. A fault opens more, and each time more at once. What is open the processor clears for the next owner, who
 * probably goes as deep: pages that come anew cost ten times as much. Pages that owners do not use go back to the kernel,
 * and what is far below the top, as soon as its owner ends.
 *
 * Everything here is done with the GIL held, but tmebox_open_control. */
#include "enter/control.h"
#include "enter/enter.h"
#include "fixed.h"
#include "newer.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>

/* Windows are put as high as there is room. */
#define FIRST_PLACE 16
#define LAST_PLACE (1ULL << 15)
#define DISTANCE TMEBOX_TWIN_DISTANCE
#define SIZE_UP_TO(end) (DISTANCE / PAGE * PAGE + PAGE + (end) + TMEBOX_GUARD)
#define OPEN (4 * PAGE) /* of one that most calls need no more of */
#define GROWTH 2        /* times as much is open after a fault */
#define MOST_KEPT 64    /* as long as there are no more of them, nobody's is taken away */
#define MOST_PAGES (2ULL << 20)       /* bytes that may stay open in one without an owner */
#define MOST_SPARE (16ULL << 20)      /* in all of them, beside what is open at first */
#define MOST_SPARES 256               /* of them: as much is open in those at first as a quarter of that */
#define PATIENCE 4 /* owners in a row that do not use pages which cost them a look */


static_assert(DISTANCE >= TMEBOX_CONTROL_GUARD, "frames reach so far below what is mapped");
static_assert(SIZE_UP_TO(TMEBOX_PRIVATE_END) <= TMEBOX_WINDOW_SIZE && SIZE_UP_TO(TMEBOX_SHARED_END) <= 2 * TMEBOX_WINDOW_SIZE,
              "each has its own addresses");

uint64_t tmebox_control_clock;

static struct control *owned, *oldest; /* the last one that got its owner first */
static struct control *spare[2];       /* narrow and wide ones; the last one used first */
static uint64_t spare_bytes;           /* open in those, beside what is open at first */
static uint32_t spare_count;
static struct control *bare; /* without memory: some instance may look whether it is still its own */
static uint32_t existing;
static uint64_t next_place = FIRST_PLACE;
static uint64_t serials;
static uint32_t generation; /* of the process that they are mapped in: a forked child has none */

uint64_t tmebox_control_owner(void) {
    return ++serials;
}

static void look_at_generation(void) {
    if (UNLIKELY(generation != tmebox_generation)) {
        generation = tmebox_generation;
        owned = oldest = spare[0] = spare[1] = NULL;
        existing = spare_count = 0;
        spare_bytes = 0;
        next_place = FIRST_PLACE;
    }
}

/* -- lists ---------------------------------------------------------------------------------------- */
static void own(struct control *control, const struct instance *instance) {
    control->owner = instance->serial;
    control->instance = instance;
    control->previous = NULL;
    control->next = owned;
    *(owned != NULL ? &owned->previous : &oldest) = control;
    owned = control;
}

static void disown(struct control *control) {
    *(control->previous != NULL ? &control->previous->next : &owned) = control->next;
    *(control->next != NULL ? &control->next->previous : &oldest) = control->previous;
    control->owner = 0;
}

/* -- memory --------------------------------------------------------------------------------------- */
static uint64_t mapped_size(bool wide) {
    return wide ? SIZE_UP_TO(TMEBOX_SHARED_END) : SIZE_UP_TO(TMEBOX_PRIVATE_END);
}

static struct control *new_control(void) {
    struct control *control = bare;
    if (control != NULL) {
        bare = control->next;
    } else {
        control = aligned_alloc(64, (sizeof *control + 63) / 64 * 64);
    }
    if (control != NULL) {
        memset(control, 0, sizeof *control);
    }
    return control;
}

static void keep_bare(struct control *control) {
    control->next = bare;
    bare = control;
}

static struct control *reserve(bool wide) {
    struct control *control = new_control();
    uint64_t size = mapped_size(wide);
    for (; control != NULL && next_place + wide < LAST_PLACE; next_place++) {
        void *at = (void *)(next_place * TMEBOX_WINDOW_SIZE);
        if (tmebox_map_free(at, size, PROT_NONE)) {
            madvise(at, size, MADV_DONTFORK);
            madvise(at, size, MADV_DONTDUMP);
            madvise(at, size, MADV_NOHUGEPAGE);
            tmebox_never_merge(at, size);
            next_place += 1 + wide;
            existing++;
            control->wide = wide;
            control->base = (uint64_t)(uintptr_t)at + DISTANCE;
            return control;
        }
    }
    if (control != NULL) {
        keep_bare(control);
    }
    next_place = FIRST_PLACE; /* windows may go until somebody asks again */
    return NULL;
}

/* Gives back the addresses and the memory of one that nobody owns. */
static bool unmap(struct control *control) {
    uint64_t start = control->base - DISTANCE, place = start / TMEBOX_WINDOW_SIZE;
    if (munmap((void *)(uintptr_t)start, mapped_size(control->wide)) < 0) {
        return false;
    }
    next_place = place < next_place ? place : next_place;
    existing--;
    keep_bare(control);
    return true;
}

static bool protect(const struct control *control, uint64_t low, uint64_t top, int protection) {
    char *start = tmebox_control_page(control, low);
    return low >= top || mprotect(start, (size_t)(tmebox_control_page(control, top) - start), protection) == 0;
}

/* What the host has locked stays: it has the memory. Both ends are open. */
static void discard(const struct control *control, uint64_t low, uint64_t top) {
    char *start = tmebox_control_page(control, low);
    if (low < top && madvise(start, (size_t)(tmebox_control_page(control, top) - start), MADV_DONTNEED) < 0) {
        memset(start, 0, (size_t)(tmebox_control_page(control, top) - start));
    }
}

static uint64_t first_open(uint64_t low, uint64_t top) {
    return top - low > OPEN ? top - OPEN : low;
}

/* Beside what is open at first. */
static uint64_t more_open(const struct control *control) {
    return first_open(control->low, control->top) - control->open;
}

/* What is below `first` goes back to the kernel, and faults again. */
static void shut(struct control *control, uint64_t first) {
    if (control->open < first) {
        discard(control, control->open, first);
        control->open = protect(control, control->open, first, PROT_NONE) ? first : control->open;
    }
    control->unused = 0;
}

static void zero(char *start, const char *end) {
    memset(start, 0, (size_t)(end - start));
}

/* Makes them zeros. The lowest one that had something else, or `end`. */
static const char *zero_pages(char *start, const char *end) {
    static const char zeros[PAGE];
    const char *lowest = end;
    for (char *page = start; page < end; page += PAGE) {
        if (memcmp(page, zeros, PAGE) != 0) {
            lowest = lowest < page ? lowest : page;
            zero(page, page + PAGE);
        }
    }
    return lowest;
}

/* What was open when it had an owner, for the next one: pages that several owners had no use for go. */
static void zero_what_is_open(struct control *control) {
    uint64_t first = first_open(control->low, control->top);
    zero(tmebox_control_page(control, first), tmebox_control_page(control, control->top));
    if (control->top - control->open > MOST_PAGES + PAGE) {
        shut(control, control->top - MOST_PAGES);
    }
    if (control->open < first) {
        uint64_t fewer = control->top - (control->top - control->open) / GROWTH;
        fewer = fewer < first ? fewer : first;
        const char *lowest = zero_pages(tmebox_control_page(control, control->open), tmebox_control_page(control, first));
        control->unused = lowest < tmebox_control_page(control, fewer) ? 0 : control->unused + 1;
        if (control->unused >= PATIENCE) {
            shut(control, fewer);
        }
    }
}

/* As it is for a new owner with such a stack. */
static bool clear(struct control *control, uint64_t low, uint64_t top) {
    if (control->low == low && control->top == top) {
        zero_what_is_open(control);
        return true;
    }
    discard(control, control->open, control->top);
    if (!protect(control, control->open, control->top, PROT_NONE)) {
        return false;
    }
    control->low = control->top = control->open = 0;
    if (!protect(control, first_open(low, top), top, PROT_READ | PROT_WRITE)) {
        return false;
    }
    control->low = low;
    control->top = top;
    control->open = first_open(low, top);
    control->unused = 0;
    return true;
}

bool tmebox_open_control(struct control *control, uint64_t offset) {
    uint64_t low = control->low, is_open = control->top - control->open;
    /* The first page begins later than `open`, by less than a page. */
    if (offset < low || offset >= control->open + PAGE || control->open == low) {
        return false;
    }
    uint64_t step = GROWTH * is_open < control->top - low ? control->top - GROWTH * is_open : low;
    uint64_t page = offset - low > PAGE ? offset - PAGE : low;
    uint64_t wanted = step < page ? step : page;
    if (!protect(control, wanted, control->open, PROT_READ | PROT_WRITE)) {
        return false;
    }
    if (wanted == step) { /* else it is a large frame, which may not touch what it skips */
        char *start = tmebox_control_page(control, wanted);
        madvise(start, (size_t)(tmebox_control_page(control, control->open) - start), MADV_POPULATE_WRITE);
    }
    control->open = wanted;
    return true;
}

/* -- owners --------------------------------------------------------------------------------------- */
static void put_aside(struct control *control) {
    if (spare_count >= MOST_SPARES && unmap(control)) {
        return;
    }
    if (more_open(control) > MOST_PAGES || spare_bytes + more_open(control) > MOST_SPARE) {
        shut(control, first_open(control->low, control->top));
    }
    spare_bytes += more_open(control);
    spare_count++;
    control->next = spare[control->wide];
    spare[control->wide] = control;
}

static struct control *take_spare(bool wide) {
    struct control *control = spare[wide];
    if (control != NULL) {
        spare[wide] = control->next;
        spare_bytes -= more_open(control);
        spare_count--;
    }
    return control;
}

static struct control *oldest_unused(bool wide) {
    struct control *control = oldest;
    while (control != NULL && (tmebox_is_in_use(control) || control->wide != wide)) {
        control = control->previous;
    }
    if (control != NULL) {
        disown(control);
    }
    return control;
}

struct control *tmebox_get_control(const struct instance *instance, uint64_t low, uint64_t top) {
    bool wide = top > TMEBOX_PRIVATE_END;
    look_at_generation();
    struct control *control = take_spare(wide);
    if (control != NULL) {
        /* the last one used */
    } else if (existing < MOST_KEPT || (control = oldest_unused(wide)) == NULL) {
        control = reserve(wide);
        control = control != NULL ? control : oldest_unused(wide);
    }
    if (control == NULL) {
        PyErr_SetString(tmebox_limit_error, "there is no room for another control stack");
        return NULL;
    }
    if (!clear(control, low, top)) {
        put_aside(control);
        PyErr_SetString(tmebox_limit_error, "the system has no memory for another control stack");
        return NULL;
    }
    own(control, instance);
    control->rsp = 0;
    control->standing = AT_A_CALL;
    control->number = 0;
    control->calls = 0;
    control->ended = control->of_thread = false;
    control->begun = tmebox_control_clock;
    return control;
}

void tmebox_put_control(struct control *control) {
    if (generation == tmebox_generation) { /* else it was the parent's: nothing is mapped there */
        disown(control);
        put_aside(control);
    }
}

bool tmebox_find_control(struct instance *instance) {
    uint64_t low = instance->stack_low - instance->base, top = instance->stack_top - instance->base;
    struct control *control = tmebox_get_control(instance, low, top);
    if (control != NULL) {
        instance->first = instance->control = control;
        instance->control_base = control->base;
        instance->entry = control->base + top;
    }
    return control != NULL;
}

void tmebox_leave_control(struct instance *instance) {
    struct control *first = instance->first;
    instance->first = instance->control = NULL;
    if (first != NULL && instance->generation == tmebox_generation && first->owner == instance->serial) {
        tmebox_put_control(first);
    }
}

const struct control *tmebox_owned_controls(void) {
    return generation == tmebox_generation ? owned : NULL;
}
