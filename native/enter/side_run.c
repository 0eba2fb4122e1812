/* Executing an instruction on the side: registers out of the sandbox's context and back into it. */
#include "enter/side.h"

#include <signal.h>
#include <string.h>
#include <sys/auxv.h>

#define RAX 0
#define RCX 1
#define RSP 4
#define RSI 6
#define RDI 7

#define FLAGS_STATUS 0x8d5 /* those that instructions compute: CF PF AF ZF SF OF */
#define FLAGS_FIXED 0x202
#define FLAGS_RESUME (1 << 16) /* set by the kernel for the instruction that faulted */

/* Of a signal frame: struct _fpx_sw_bytes says whether an xsave area goes on behind the old 512 bytes, and what is
 * in it. */
#define STATE_SOFTWARE 464
#define STATE_MAGIC 0x46505853

#define STATE_HEADER 512 /* of an xsave area: which parts of it are not as at first */
#define STATE_SSE 2

struct software {
    uint32_t magic, size;
    uint64_t features;
};

/* Which parts of the form's state are in the frame; 0: it is an area of fxsave. */
static uint64_t parts_of(const void *state, uint32_t wanted) {
    struct software software;
    memcpy(&software, (const char *)state + STATE_SOFTWARE, sizeof software);
    uint64_t parts = software.magic == STATE_MAGIC ? software.features & wanted : 0;
    uint64_t present = 0;
    if (parts == STATE_SSE) {
        memcpy(&present, (const char *)state + STATE_HEADER, sizeof present);
    }
    return present & STATE_SSE ? SIDE_STATE_PLAIN : parts;
}

static void set_register(ucontext_t *context, uint8_t number, uint64_t value) {
    context->uc_mcontext.gregs[tmebox_side_registers[number]] = (greg_t)value;
}

static void finish(const struct side_shape *shape, ucontext_t *context) {
    context->uc_mcontext.gregs[REG_RIP] += shape->length;
    context->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)FLAGS_RESUME;
}

/* -- stubs -------------------------------------------------------------------------------------------- */
/* What a fault is about: the instruction in the code region, not the stub, and memory in the window, not the host's. */
static struct window_fault as_the_sandboxs(struct window_fault fault, const struct side_call *call) {
    int signal = (int)(fault.how & 0xff);
    if (signal == SIGFPE || signal == SIGILL || signal == SIGTRAP) {
        fault.address = (uint64_t)call->context->uc_mcontext.gregs[REG_RIP];
    }
    for (size_t i = 0; i < call->count; i++) {
        uint64_t inside = fault.address - (uint64_t)(uintptr_t)call->pointers[i];
        if (inside < call->accesses[i].size) {
            fault.address = call->window_base + call->accesses[i].offset + inside;
            break;
        }
    }
    return fault;
}

static enum side_result run_stub(const struct side_form *form, const struct side_call *call,
                                        struct window_fault *fault) {
    const struct side_shape *shape = &form->shape;
    ucontext_t *context = call->context;
    struct side_run run;
    for (uint8_t i = 0; i < SIDE_REGISTERS; i++) {
        run.registers[i] = tmebox_side_register(context, i);
    }
    uint64_t flags = (uint64_t)context->uc_mcontext.gregs[REG_EFL];
    run.flags = (flags & FLAGS_STATUS) | FLAGS_FIXED;
    run.registers[shape->pointer] = (uint64_t)(uintptr_t)call->pointers[0] - tmebox_side_unmasked(shape, context);
    if (shape->for_rsp != SIDE_NONE) {
        run.registers[shape->for_rsp] = run.registers[RSP];
    }
    run.stub = tmebox_side_stub(form);
    run.state = shape->state != 0 ? context->uc_mcontext.fpregs : NULL;
    run.state_bits = shape->state != 0 ? parts_of(run.state, shape->state) : 0;
    if (!tmebox_side_run(&run)) {
        *fault = as_the_sandboxs(run.fault, call);
        return SIDE_FAULTED;
    }
    for (uint8_t i = 0; i < SIDE_REGISTERS; i++) {
        if (i != shape->pointer && i != shape->for_rsp && i != RSP) {
            set_register(context, i, run.registers[i]);
        }
    }
    if (shape->for_rsp != SIDE_NONE) {
        set_register(context, RSP, run.registers[shape->for_rsp]);
    }
    context->uc_mcontext.gregs[REG_EFL] = (greg_t)((flags & ~(uint64_t)FLAGS_STATUS) | (run.flags & FLAGS_STATUS));
    finish(shape, context);
    return SIDE_DONE;
}

/* -- strings ------------------------------------------------------------------------------------------ */
static enum side_result run_string(const struct side_shape *shape, const struct side_call *call,
                                          struct window_fault *fault) {
    ucontext_t *context = call->context;
    bool moves = shape->kind == SIDE_MOVE_STRING;
    unsigned order = (unsigned)__builtin_ctz(shape->size);
    uint64_t count = call->accesses[0].size >> order, left = count;
    if (moves) {
        *fault = tmebox_side_move(call->pointers[1], call->pointers[0], &left, order);
    } else {
        *fault = tmebox_side_store(call->pointers[0], tmebox_side_register(context, RAX), &left, order);
    }
    uint64_t done = count - left;
    if (done == 0) {
        *fault = as_the_sandboxs(*fault, call);
        return SIDE_FAULTED;
    }
    set_register(context, RDI, tmebox_side_register(context, RDI) + done * shape->size);
    if (moves) {
        set_register(context, RSI, tmebox_side_register(context, RSI) + done * shape->size);
    }
    bool ends = true;
    if (shape->flags & SIDE_REPEATS) {
        uint64_t rest = tmebox_side_register(context, RCX) - done;
        set_register(context, RCX, rest);
        ends = rest == 0;
    }
    if (ends) {
        finish(shape, context);
    }
    return SIDE_DONE; /* what has faulted behind that will fault natively */
}

/* -- what goes to the sandbox's stack, or comes from there -------------------------------------------- */
/* One word, entirely or not at all. */
static bool move_word(void *to, const void *from, struct window_fault *fault) {
    uint64_t one = 1;
    *fault = tmebox_side_move(to, from, &one, 3);
    return fault->how == 0;
}

/* Where control may go at all; elsewhere, the branch itself faults. */
static bool is_canonical(uint64_t address) {
    return (uint64_t)((int64_t)(address << 16) >> 16) == address;
}

static enum side_result run_stack(const struct side_shape *shape, const struct side_call *call,
                                         struct window_fault *fault) {
    ucontext_t *context = call->context;
    void *pointer = call->pointers[0];
    uint64_t rsp = tmebox_side_register(context, RSP), value;
    uint64_t next = (uint64_t)context->uc_mcontext.gregs[REG_RIP] + shape->length;
    const void *from = shape->kind == SIDE_POP ? (const void *)rsp : pointer;
    if (!move_word(&value, from, fault)) {
        *fault = as_the_sandboxs(*fault, call);
        return SIDE_FAULTED;
    }
    if ((shape->kind == SIDE_CALL || shape->kind == SIDE_JUMP) && !is_canonical(value)) {
        *fault = (struct window_fault){0, SIGSEGV | 0xff << 8 | (uint64_t)SI_KERNEL << 32};
        return SIDE_FAULTED;
    }
    void *to = shape->kind == SIDE_POP ? pointer : (void *)(rsp - sizeof value);
    const uint64_t *what = shape->kind == SIDE_CALL ? &next : &value;
    if (shape->kind != SIDE_JUMP && !move_word(to, what, fault)) {
        *fault = as_the_sandboxs(*fault, call);
        return SIDE_FAULTED;
    }
    finish(shape, context);
    if (shape->kind == SIDE_POP) {
        set_register(context, RSP, rsp + sizeof value);
    } else if (shape->kind != SIDE_JUMP) {
        set_register(context, RSP, rsp - sizeof value);
    }
    if (shape->kind == SIDE_CALL || shape->kind == SIDE_JUMP) {
        context->uc_mcontext.gregs[REG_RIP] = (greg_t)value;
    }
    return SIDE_DONE;
}

/* -- whether it may fault ----------------------------------------------------------------------------- */
#define MXCSR_MASKS 0x1f80

bool tmebox_side_never_faults(const struct side_form *form, const ucontext_t *context) {
    uint32_t mxcsr = context->uc_mcontext.fpregs != NULL ? context->uc_mcontext.fpregs->mxcsr : 0;
    return (form->shape.flags & SIDE_NEVER_FAULTS) ||
           ((form->shape.flags & SIDE_FAULTS_UNMASKED) && (mxcsr & MXCSR_MASKS) == MXCSR_MASKS);
}

/* -- all ---------------------------------------------------------------------------------------------- */
enum side_result tmebox_side_execute(const struct side_form *form, const struct side_call *call,
                                            struct window_fault *fault) {
    switch ((enum side_kind)form->shape.kind) {
    case SIDE_STORE_STRING:
    case SIDE_MOVE_STRING:
        return run_string(&form->shape, call, fault);
    case SIDE_PUSH:
    case SIDE_POP:
    case SIDE_CALL:
    case SIDE_JUMP:
        return run_stack(&form->shape, call, fault);
    default:
        return run_stub(form, call, fault);
    }
}

uint64_t tmebox_side_resume(uint64_t address) {
    if (tmebox_side_in_stub(address)) {
        return (uint64_t)(uintptr_t)tmebox_side_run_faulted;
    }
    uint64_t start = (uint64_t)(uintptr_t)tmebox_side_string_begin;
    uint64_t size = (uint64_t)(uintptr_t)tmebox_side_string_end - start;
    return address - start < size ? (uint64_t)(uintptr_t)tmebox_side_string_faulted : 0;
}
