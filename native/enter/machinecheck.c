/* Memory that itself stops an access of sandboxed code: a machine check, which the kernel makes a SIGBUS of. With encrypted
 * memory it says that the line was written with another key than its owner's. The signal has no address. So what the
 * instruction accesses is worked out from its form, once the sandbox was left. */
#include "enter/enter.h"
#include "enter/side.h"
#include "heap/heap.h"

#include <signal.h>

#ifndef BUS_MCEERR_AR
#define BUS_MCEERR_AR 4
#endif

static bool is_one(const struct instance *instance, const struct trap *trap) {
    return instance->key != 0 && instance->heap->backend->report != NULL && trap->signal == SIGBUS &&
           (trap->code == SI_KERNEL || trap->code == BUS_MCEERR_AR) &&
           trap->instruction_address - TMEBOX_CODE_BASE < TMEBOX_CODE_END - TMEBOX_CODE_BASE;
}

/* NULL with an exception set: who made the form was interrupted. NULL without: the instruction has none. */
static struct side_form *form_at(uint64_t address) {
    struct side_form *form = tmebox_side_find(address);
    if (form == NULL && tmebox_make_side_form(address) == 0) {
        form = tmebox_side_find(address);
    } else if (form == NULL && PyErr_ExceptionMatches(PyExc_Exception)) {
        PyErr_Clear();
    }
    return form;
}

/* The vector registers are not kept: of lanes that a mask leaves out, nothing is known. */
static void fill(ucontext_t *context, const struct trap *trap) {
    *context = (ucontext_t){0};
    for (int i = 0; i < SIDE_REGISTERS; i++) {
        context->uc_mcontext.gregs[tmebox_side_registers[i]] = (greg_t)trap->registers[i];
    }
    context->uc_mcontext.gregs[REG_RIP] = (greg_t)trap->instruction_address;
}

static void blame(struct heap *heap, uint16_t key, const struct side_call *call, struct trap *trap) {
    for (size_t i = 0; i < call->count; i++) {
        const struct side_access *access = &call->accesses[i];
        uint64_t place = (uint64_t)access->offset - TMEBOX_SHARED_START, rest = heap->size_bytes - place;
        if (access->offset < TMEBOX_SHARED_START || place >= heap->size_bytes) {
            continue;
        }
        struct heap_bad bad;
        enum heap_access how = access->how & SIDE_WRITES ? HEAP_WRITES : HEAP_READS;
        tmebox_heap_report(heap, key, place, rest < access->size ? rest : access->size, how, &bad);
        bool first = trap->owner < 0, foreign = bad.key != key && trap->owner == key;
        if (first || foreign) {
            trap->owner = bad.key;
            trap->outcome = bad.outcome;
            trap->outcome_key = key;
            trap->access = access->how & SIDE_READS ? 0 : 1;
            trap->fault_address = call->window_base + TMEBOX_SHARED_START + bad.place;
        }
    }
}

bool tmebox_explain_machine_check(const struct instance *instance, struct trap *trap) {
    if (!is_one(instance, trap)) {
        return true;
    }
    struct heap *heap = instance->heap; /* the sandbox may be closed while a form is made */
    uint16_t key = instance->key;
    ucontext_t context;
    struct side_call call = {.context = &context, .window_base = instance->base};
    tmebox_heap_hold(heap);
    struct side_form *form = form_at(trap->instruction_address);
    if (form != NULL) {
        fill(&context, trap);
        if (tmebox_side_accesses(form, &call)) {
            blame(heap, key, &call, trap);
        }
        tmebox_side_release(form);
    }
    tmebox_heap_let_go(heap);
    return !PyErr_Occurred();
}
