/* A turn of one of a sandbox's threads ends because it has lasted too long: at any instruction.
 *
 * The thread stands there as others stand at a host call, but with all of its registers, which are kept where no sandbox
 * reaches. Nothing is put onto its stack, and nobody runs on it, until it goes on: with the same registers, at the same
 * place, on the same stack, once. So what the verifier knows of that place is still true; only memory of the window may be
 * another, which no check of a text relies on.
 *
 * Another thread goes on meanwhile, where it stood at a host call: the sandbox's scheduler, which has named itself. Whose
 * turn is next it decides. */
#include "enter/slices.h"
#include "enter/fibers.h"

#include <string.h>
#include <ucontext.h>

/* What the kernel says of the state that it has saved: struct _fpx_sw_bytes and the header of `xsave`. */
#define SOFTWARE 464
#define SOFTWARE_MAGIC 0x46505853
#define HEADER 512
#define HEADER_SIZE 64
#define MXCSR 24
#define DEFAULT_MXCSR 0x1f80
#define LONGEST_DELAY_NS (1ULL << 60)
#define COMPONENTS 7 /* x87, SSE, AVX: verified code has no others */

/* Of the flags only what instructions compute is a thread's. The direction flag is always 0. */
#define COMPUTED_FLAGS 0x8d5
#define OTHER_FLAGS 0x202

static const uint8_t order[16] = {
    REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
    REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
};

static struct control *keeper(const struct instance *instance) {
    struct control *control = instance->fiber_count >= TMEBOX_KEEPER ? instance->fibers[TMEBOX_KEEPER - 1] : NULL;
    bool stands = control != NULL && control->rsp != 0 && control->standing == AT_A_CALL;
    return stands && control->owner == instance->serial ? control : NULL;
}

/* Not without `xsave`: there the kernel's frame has another form. */
static bool save_vectors(struct interrupted *to, uint8_t *from) {
    uint32_t software[2];
    uint64_t present;
    memcpy(software, from + SOFTWARE, sizeof software);
    if (software[0] != SOFTWARE_MAGIC || software[1] < HEADER + HEADER_SIZE) {
        return false;
    }
    memcpy(to->vectors, from, software[1] < sizeof to->vectors ? software[1] : sizeof to->vectors);
    memcpy(&present, from + HEADER, sizeof present);
    uint64_t ours = present & COMPONENTS;
    memset(to->vectors + HEADER, 0, HEADER_SIZE);
    memcpy(to->vectors + HEADER, &ours, sizeof ours);
    /* The keeper begins with registers as after `fninit`: else an exception that is pending would be its own. */
    static const uint32_t mxcsr = DEFAULT_MXCSR;
    present &= ~(uint64_t)COMPONENTS;
    memcpy(from + HEADER, &present, sizeof present);
    memcpy(from + MXCSR, &mxcsr, sizeof mxcsr);
    return true;
}

static void save(struct interrupted *to, const greg_t *from) {
    for (int i = 0; i < 16; i++) {
        to->registers[i] = (uint64_t)from[order[i]];
    }
    to->rip = (uint64_t)from[REG_RIP];
    to->flags = ((uint64_t)from[REG_EFL] & COMPUTED_FLAGS) | OTHER_FLAGS;
}

/* Somebody may look at it now who has to know where this thread may go (tmebox_stacks_hold): who sees that `rsp` has
 * changed sees what was written before, and whoever began to look before this finds that something has changed. */
static void begin_change(struct control *control) {
    atomic_fetch_add(&control->changes, 1);
}

bool tmebox_end_turn(struct activation *activation, void *context) {
    struct instance *instance = activation->instance;
    struct thread *thread = activation->thread;
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    uint64_t turn = atomic_load_explicit(&thread->turns, memory_order_relaxed) + 1;
    if (atomic_load(&thread->over) != turn || instance->slices == 0) {
        return false;
    }
    struct control *from = instance->control, *to = from != NULL ? keeper(instance) : NULL;
    if (to == NULL || to == from) {
        return false;
    }
    uint64_t rsp = (uint64_t)registers[REG_RSP];
    bool is_text = (uint64_t)registers[REG_RIP] < TMEBOX_GATE_BASE; /* gates are in the middle of what the core does */
    bool is_here = rsp - (from->base - TMEBOX_TWIN_DISTANCE) < tmebox_control_size(from) && rsp != from->base;
    if (!is_text || !is_here) {
        return false;
    }
    begin_change(from);
    if (!save_vectors(&from->interrupted, (uint8_t *)((ucontext_t *)context)->uc_mcontext.fpregs)) {
        return false;
    }
    save(&from->interrupted, registers);
    atomic_store(&from->standing, BETWEEN_ANY);
    __atomic_store_n(&from->rsp, rsp - from->base, __ATOMIC_RELEASE);
    instance->control = to;
    instance->control_base = to->base;
    for (int i = 0; i < 16; i++) {
        registers[order[i]] = 0;
    }
    /* As if its host call returned, with 0, and, unlike others, with something in rdx. */
    registers[REG_RDX] = (greg_t)from->number + 1;
    registers[REG_RSP] = (greg_t)(to->base + to->rsp);
    registers[REG_RIP] = (greg_t)activation->return_gate;
    registers[REG_EFL] &= ~(greg_t)FLAGS_OF_SANDBOXES;
    to->rsp = 0;
    atomic_store_explicit(&thread->turns, turn, memory_order_release);
    return true;
}

void tmebox_end_turns(struct activation *activation, bool by_time, uint64_t delay_ns) {
    struct instance *instance = activation->instance;
    delay_ns = delay_ns < LONGEST_DELAY_NS ? delay_ns : LONGEST_DELAY_NS;
    uint64_t since = delay_ns == 0 ? 0 : tmebox_monotonic_ns() + delay_ns;
    instance->slices = by_time ? TURN_ENDS | (since & ~TURN_STATE) : 0;
    atomic_store_explicit(&activation->thread->where, instance->slices, memory_order_release);
    int enough = delay_ns == 0 ? WATCHDOG_AWAKE : WATCHDOG_DOZING; /* a doze is no longer than that is exact */
    if (by_time && atomic_load_explicit(&tmebox_watchdog_state, memory_order_relaxed) > enough) {
        tmebox_wake_watchdog();
    }
}

_Noreturn void tmebox_go_on(struct control *control) {
    begin_change(control);
    atomic_store(&control->standing, WENT_ON);
    __atomic_store_n(&control->rsp, 0, __ATOMIC_RELEASE);
    tmebox_restore_thread(&control->interrupted);
}
