/* Faults of sandboxed code in its shared heap: the page is granted, or the instruction is executed on the side if all
 * that it accesses is the sandbox's own, or it traps and nothing of it was done. The owners are looked up, and the
 * instruction is executed, under the locks of all groups of pages that it accesses. */
#include "enter/control.h"
#include "enter/enter.h"
#include "enter/side.h"
#include "heap/heap.h"
#include "threads/signals.h"

#define GROUP_BYTES (GROUP_PAGES * (uint64_t)TMEBOX_PAGE_SIZE)
#define MOST_GROUPS (2 * SIDE_ACCESSES) /* no access is longer than a page */

/* Ascending. */
struct groups {
    uint32_t count;
    uint32_t numbers[MOST_GROUPS];
};

static void add(struct groups *groups, uint32_t number) {
    uint32_t at = groups->count;
    while (at > 0 && groups->numbers[at - 1] > number) {
        at--;
    }
    if (at > 0 && groups->numbers[at - 1] == number) {
        return;
    }
    for (uint32_t i = groups->count; i > at; i--) {
        groups->numbers[i] = groups->numbers[i - 1];
    }
    groups->numbers[at] = number;
    groups->count++;
}

/* The part of an access that is in the heap: its bytes from the first one on that is. 0: none. */
static uint32_t part_in_heap(const struct heap *heap, const struct side_access *access, uint64_t *place) {
    *place = (uint64_t)access->offset - TMEBOX_SHARED_START;
    if (access->offset < TMEBOX_SHARED_START || *place >= heap->size_bytes) {
        return 0;
    }
    uint64_t rest = heap->size_bytes - *place;
    return rest < access->size ? (uint32_t)rest : access->size;
}

static void lock(struct heap *heap, const struct side_call *call, struct groups *groups) {
    groups->count = 0;
    for (size_t i = 0; i < call->count; i++) {
        uint64_t place;
        uint32_t size = part_in_heap(heap, &call->accesses[i], &place);
        if (size != 0) {
            add(groups, (uint32_t)(place / GROUP_BYTES));
            add(groups, (uint32_t)((place + size - 1) / GROUP_BYTES));
        }
    }
    for (uint32_t i = 0; i < groups->count; i++) {
        tmebox_heap_lock(&heap->groups[groups->numbers[i]]);
    }
}

static void unlock(struct heap *heap, const struct groups *groups) {
    for (uint32_t i = groups->count; i > 0; i--) {
        tmebox_heap_unlock(&heap->groups[groups->numbers[i - 1]]);
    }
}

/* Whether the key may do this to `size` bytes; else the outcome says what it may not. */
static bool may(const struct heap *heap, uint16_t key, uint64_t place, uint32_t size, uint32_t how,
                struct heap_outcome *outcome) {
    struct heap_violation violation;
    const enum heap_access kinds[] = {HEAP_READS, HEAP_WRITES};
    const uint32_t bits[] = {SIDE_READS, SIDE_WRITES};
    for (int i = 0; i < 2; i++) {
        if ((how & bits[i]) && !tmebox_heap_may(heap, key, place, size, kinds[i], &violation)) {
            outcome->owner = violation.owner;
            outcome->offset = violation.offset;
            outcome->access = i;
            if (tmebox_heap_asks_memory(heap, kinds[i])) {
                outcome->outcome = heap->backend->check(heap, key, violation.offset - TMEBOX_SHARED_START);
                outcome->outcome_key = key;
            }
            return false;
        }
    }
    return true;
}

/* The first `count` accesses of it. */
static void finish(struct heap *heap, uint16_t key, const struct side_call *call, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint64_t place;
        if (part_in_heap(heap, &call->accesses[i], &place) != 0) {
            bool wrote = call->accesses[i].how & SIDE_WRITES;
            heap->backend->side_end(heap, key, place, call->accesses[i].size, wrote);
        }
    }
}

/* The memory itself does not verify: as if a foreign line were there. */
static void refuse(const struct heap *heap, uint64_t place, const struct side_access *access,
                   struct heap_outcome *outcome) {
    struct heap_bad bad;
    tmebox_heap_first_bad(heap, place, access->size, &bad);
    outcome->owner = outcome->outcome_key = bad.key;
    outcome->outcome = bad.outcome;
    outcome->offset = bad.place + TMEBOX_SHARED_START;
    outcome->access = access->how & SIDE_READS ? 0 : 1;
}

/* The first access that is not where the first pointer leads by the distance between them, as lanes behind the heap's end;
 * or count. */
static size_t first_apart(const struct side_call *call) {
    size_t i = 1;
    while (i < call->count && (const char *)call->pointers[i] - (const char *)call->pointers[0] ==
                                  (int64_t)call->accesses[i].offset - (int64_t)call->accesses[0].offset) {
        i++;
    }
    return i;
}

enum prepared { READY, REFUSED, CUT };

/* Each access that may be done is begun; of a string, as many elements as may. What is not in the heap is accessed in the
 * window: there, a page that is missing comes by another fault. CUT: the string is shorter now, and ends before a line that
 * does not verify; nothing is begun. */
static enum prepared try_to_prepare(struct heap *heap, uint16_t key, const struct side_form *form, struct side_call *call,
                                    struct heap_outcome *outcome) {
    for (size_t i = 0; i < call->count; i++) {
        const struct side_access *access = &call->accesses[i];
        uint64_t place;
        uint32_t size = part_in_heap(heap, access, &place);
        call->pointers[i] = (void *)(call->window_base + access->offset);
        if (size == 0) {
            continue;
        }
        bool good = may(heap, key, place, size, access->how, outcome);
        uint32_t allowed = good ? size : (uint32_t)(outcome->offset - access->offset);
        if (allowed < access->size) {
            struct side_call begun = *call; /* with the sizes of then */
            if (!tmebox_side_cut(form, call, i, allowed)) {
                finish(heap, key, &begun, i);
                return REFUSED; /* with an owner, or at the heap's end, where nothing is */
            }
        }
        call->pointers[i] = heap->backend->side_begin(heap, key, place, access->size);
        if (call->pointers[i] == NULL) {
            refuse(heap, place, access, outcome);
            finish(heap, key, call, i); /* what was begun of the same page is perhaps no more */
            uint32_t before = (uint32_t)(outcome->offset - access->offset);
            return before < access->size && tmebox_side_cut(form, call, i, before) ? CUT : REFUSED;
        }
        outcome->owner = -1;
        outcome->outcome = 0;
    }
    size_t apart = form->shape.kind == SIDE_MASKED ? first_apart(call) : call->count;
    if (apart < call->count) { /* one pointer is for all lanes */
        finish(heap, key, call, call->count);
        outcome->offset = call->accesses[apart].offset;
        outcome->access = call->accesses[apart].how & SIDE_READS ? 0 : 1;
        return REFUSED;
    }
    return READY;
}

/* Whether the instruction, or of a string at least one element, may be done, with pointers to where. */
static bool prepare(struct heap *heap, uint16_t key, const struct side_form *form, struct side_call *call,
                    struct heap_outcome *outcome) {
    enum prepared prepared;
    do {
        prepared = try_to_prepare(heap, key, form, call, outcome);
    } while (prepared == CUT); /* shorter each time */
    return prepared == READY;
}

static bool may_fault(const struct heap *heap, const struct side_form *form, const struct side_call *call) {
    bool faults = !tmebox_side_never_faults(form, call->context) || heap->backend->report != NULL; /* machine checks */
    for (size_t i = 0; i < call->count; i++) {
        uint64_t place;
        faults |= part_in_heap(heap, &call->accesses[i], &place) != call->accesses[i].size;
    }
    return faults;
}

/* What the instruction pushes or pops goes to a stack of which not everything can be touched yet. */
static void open_stack(const struct instance *instance, const struct side_form *form, const ucontext_t *context) {
    uint8_t kind = form->shape.kind;
    if (instance->control != NULL && (kind == SIDE_PUSH || kind == SIDE_CALL || kind == SIDE_POP)) {
        uint64_t offset = (uint64_t)context->uc_mcontext.gregs[REG_RSP] - instance->control->base;
        tmebox_open_control(instance->control, kind == SIDE_POP ? offset : offset - sizeof(uint64_t));
    }
}

static void execute(const struct activation *activation, struct side_form *form, void *context,
                    struct heap_outcome *outcome) {
    struct heap *heap = activation->instance->heap;
    uint16_t key = activation->instance->key;
    struct side_call call = {.context = context, .window_base = activation->instance->base};
    if (!tmebox_side_accesses(form, &call)) {
        return;
    }
    open_stack(activation->instance, form, context);
    if (may_fault(heap, form, &call)) {
        tmebox_let_faults_in(); /* a system call, that most do without */
    }
    struct groups groups;
    lock(heap, &call, &groups);
    if (prepare(heap, key, form, &call, outcome)) {
        bool done = tmebox_side_execute(form, &call, &outcome->fault) == SIDE_DONE;
        finish(heap, key, &call, call.count);
        outcome->kind = done ? HEAP_DONE : HEAP_TRAPS;
    }
    unlock(heap, &groups);
}

bool tmebox_touched_heap(const struct activation *activation, uint64_t address, int access, void *context,
                         struct heap_outcome *outcome) {
    const struct instance *instance = activation->instance;
    uint64_t offset = address - instance->base;
    if (instance->key == 0 || offset >= TMEBOX_WINDOW_SIZE || !tmebox_heap_covers(instance->heap, offset)) {
        return false;
    }
    *outcome = (struct heap_outcome){.kind = HEAP_TRAPS, .owner = -1, .access = access, .offset = offset};
    struct heap_violation violation;
    enum heap_fault fault = tmebox_heap_fault(instance->heap, instance->key, offset,
                                              access == 1 ? HEAP_WRITES : HEAP_READS, &violation);
    if (fault == FAULT_GRANTED) {
        outcome->kind = HEAP_DONE;
    } else if (fault == FAULT_REFUSED) {
        outcome->owner = violation.owner;
        outcome->offset = violation.offset;
        if (tmebox_heap_asks_memory(instance->heap, access == 1 ? HEAP_WRITES : HEAP_READS)) {
            uint64_t place = violation.offset - TMEBOX_SHARED_START;
            outcome->outcome = tmebox_heap_check(instance->heap, instance->key, place);
        }
        outcome->outcome_key = instance->key;
    } else {
        const greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
        struct side_form *form = tmebox_side_find((uint64_t)registers[REG_RIP]);
        if (form == NULL) {
            outcome->kind = HEAP_WANTS_FORM;
        } else {
            execute(activation, form, context, outcome);
            tmebox_side_release(form);
        }
    }
    return true;
}
