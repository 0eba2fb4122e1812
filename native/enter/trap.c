/* Signals in sandboxed code: faults become traps, interrupts become timeouts or a look at Python's signals.
 * Everything else goes to the handler that was there before.
 *
 * Handlers run on the alternate stack, always: a frame on a sandbox's stack would show it host registers. */
#include "enter/control.h"
#include "enter/enter.h"
#include "enter/side.h"
#include "enter/slices.h"
#include "heap/heap.h"
#include "threads/signals.h"
#include "windows/window.h"

#include <errno.h>
#include <string.h>
#include <ucontext.h>

#define TRAP_BREAKPOINT 3 /* x86 exception numbers, as the kernel puts them into REG_TRAPNO */
#define TRAP_PAGE_FAULT 14

static const uint8_t register_order[REGISTERS] = {
    REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
    REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
    REG_EFL,
};

static bool in_sandbox_code(uint64_t ip) {
    return ip >= TMEBOX_CODE_BASE && ip < TMEBOX_CODE_END;
}

static int access_of(const greg_t *registers) {
    if (registers[REG_TRAPNO] != TRAP_PAGE_FAULT) {
        return -1;
    }
    return registers[REG_ERR] & 16 ? 2 : registers[REG_ERR] & 2 ? 1 : 0;
}

/* What sandbox code this thread was running when the signal came, if any. */
static struct activation *interrupted(const greg_t *registers) {
    struct thread *thread = tmebox_thread;
    return thread != NULL && in_sandbox_code((uint64_t)registers[REG_RIP]) ? thread->current : NULL;
}

/* A page that is not there is one trap, whether the kernel finds no mapping or no page installed in one. */
static int fault_signal(int signal, const siginfo_t *info) {
    return signal == SIGBUS && info->si_code == BUS_ADRERR ? SIGSEGV : signal;
}

static int fault_code(int signal, const siginfo_t *info) {
    return fault_signal(signal, info) != signal ? SEGV_MAPERR : info->si_code;
}

/* Who reads a trap goes by offsets in the window. What is near a control stack is its guard, which is wider than the
 * window's: there the stack has run out, whatever the offset. */
static void by_offsets(const struct instance *instance, struct trap *trap) {
    const struct control *control = instance->control;
    uint64_t rsp = trap->registers[REGISTER_RSP], fault = trap->fault_address;
    trap->registers[REGISTER_RSP] = rsp < control->base ? instance->base : tmebox_in_window(instance, rsp);
    if (fault - (control->base - TMEBOX_TWIN_DISTANCE) < tmebox_control_size(control)) {
        bool is_out = fault < control->base + control->low + TMEBOX_PAGE_SIZE;
        uint64_t offset = fault - control->base, below = control->low - 8; /* it ends a part of a page higher */
        if (is_out && (control != instance->first || fault < control->base)) {
            offset = TMEBOX_STACK_EXHAUSTED;
            trap->stack_top = control != instance->first ? control->top : 0;
        } else if (is_out && offset > below) {
            offset = below;
        }
        trap->fault_address = instance->base + offset;
    }
}

/* Signal 0: not a fault. */
static void record(struct activation *activation, int signal, const siginfo_t *info,
                   const greg_t *registers) {
    struct trap *trap = &activation->trap;
    trap->signal = signal != 0 ? fault_signal(signal, info) : 0;
    trap->code = signal != 0 ? fault_code(signal, info) : 0;
    trap->access = signal != 0 ? access_of(registers) : -1;
    trap->owner = -1;
    trap->outcome = 0;
    trap->stack_top = 0;
    trap->fault_address = signal != 0 ? (uint64_t)(uintptr_t)info->si_addr : 0;
    bool after = signal == SIGTRAP && registers[REG_TRAPNO] == TRAP_BREAKPOINT;
    trap->instruction_address = (uint64_t)registers[REG_RIP] - after;
    for (int i = 0; i < REGISTERS; i++) {
        trap->registers[i] = (uint64_t)registers[register_order[i]];
    }
    if (activation->control != NULL) {
        by_offsets(activation->instance, trap);
    }
}

/* The handler runs where the sandbox's rsp was, because the host took the alternate stack away a moment ago, between two
 * looks of this thread at it. The frame lies over what code keeps below the red zone and, amid a rebase, over anything
 * below 4 GiB; it is full of the host's registers: the sandbox must not go on. */
static bool is_astray(const struct activation *activation) {
    uint64_t here = (uint64_t)(uintptr_t)__builtin_frame_address(0);
    return activation != NULL && (here - tmebox_stack_base(activation->instance) < TMEBOX_WINDOW_SIZE || here < UINT32_MAX);
}

/* The core is at work for a sandbox, which waits. Host code is never unwound, so what has come waits, too: until the core
 * goes back, which it then does by way of an instruction that faults. If the way was chosen a moment ago, it is the next
 * one. Not where that fault is somebody else's now: then it is for the next signal. */
static void defer(void) {
    struct thread *thread = tmebox_thread;
    if (thread != NULL && thread->current != NULL && tmebox_is_handled(SIGSEGV)) {
        thread->current->return_gate = GATE_RETURN(GATE_DEFERRED_OFFSET);
    }
}

/* Whether the core has come to it. From here on the sandbox is where it would be without: before the gate or, on a control
 * stack, behind it, since turns do not end in gates. What that gate does without any check is done here. */
static bool was_deferred(struct activation *activation, greg_t *registers) {
    const struct instance *instance = activation->instance;
    if (registers[REG_RIP] != GATE_RETURN(GATE_DEFERRED_OFFSET)) {
        return false;
    }
    activation->return_gate = instance->return_gate;
    registers[REG_RIP] = (greg_t)instance->return_gate;
    uint64_t rsp = (uint64_t)registers[REG_RSP];
    if (activation->control != NULL && rsp - instance->control->base <= instance->control->top - sizeof rsp) {
        registers[REG_R11] = registers[REG_RIP] = *(const uint32_t *)(uintptr_t)rsp;
        registers[REG_RSP] += (greg_t)sizeof rsp;
    }
    return true;
}

/* Make returning from the signal handler leave the sandbox. */
static void trap(struct activation *activation, int signal, const siginfo_t *info, greg_t *registers) {
    record(activation, signal, info, registers);
    activation->outcome = TRAPPED;
    registers[REG_R10] = (greg_t)(uintptr_t)activation;
    registers[REG_RSP] = (greg_t)activation->host_rsp;
    registers[REG_RIP] = (greg_t)(uintptr_t)tmebox_leave;
    registers[REG_EFL] &= ~(greg_t)FLAGS_OF_SANDBOXES;
}

/* Of an activation that is astray. Signal 0 with a code is this. */
static void stop_astray(struct activation *activation, greg_t *registers) {
    trap(activation, 0, NULL, registers);
    activation->trap.code = ILL_BADSTK;
}

/* Where one of our functions goes on that touch memory on the sandbox's behalf, or run an instruction of it; else 0. */
static uint64_t resume_at(uint64_t ip) {
    uint64_t start = (uint64_t)(uintptr_t)tmebox_window_begin, end = (uint64_t)(uintptr_t)tmebox_window_end;
    return ip - start < end - start ? (uint64_t)(uintptr_t)tmebox_window_fault : tmebox_side_resume(ip);
}

/* A fault in one of those: they return what happened. */
static bool window_access(int signal, const siginfo_t *info, greg_t *registers) {
    uint64_t resume = resume_at((uint64_t)registers[REG_RIP]);
    if (resume == 0) {
        return false;
    }
    registers[REG_RIP] = (greg_t)resume;
    registers[REG_RAX] = (greg_t)(uintptr_t)info->si_addr;
    registers[REG_RDX] =
        (greg_t)((uint64_t)fault_signal(signal, info) | (uint64_t)(access_of(registers) & 0xff) << 8 |
                 (uint64_t)(uint32_t)fault_code(signal, info) << 32);
    return true;
}

/* A touch of a page that is not there yet: by a sandbox of its own window, or by host code of any. */
static bool installed(const struct activation *activation, const siginfo_t *info, const greg_t *registers) {
    uint64_t address = (uint64_t)(uintptr_t)info->si_addr, base;
    bool write = access_of(registers) == 1;
    if (info->si_code != BUS_ADRERR || access_of(registers) == 2) {
        return false;
    }
    if (activation != NULL) {
        const struct instance *instance = activation->instance;
        return instance->window != NULL &&
               tmebox_install(instance->window, instance->base, address - instance->base,
                              write ? SANDBOX_WRITES : SANDBOX_READS);
    }
    struct window *window = tmebox_find_window(address, &base);
    return window != NULL && tmebox_install(window, base, address - base, write ? HOST_WRITES : HOST_READS);
}

/* Whether it was in what its stack has and could not be touched yet. */
static bool opened_stack(const struct activation *activation, const siginfo_t *info) {
    if (activation->control == NULL || info->si_code != SEGV_ACCERR) {
        return false;
    }
    struct control *control = activation->instance->control;
    return tmebox_open_control(control, (uint64_t)(uintptr_t)info->si_addr - control->base);
}

/* What a fault in the shared heap ends in. */
static void trap_in_heap(struct activation *activation, const struct heap_outcome *outcome, const siginfo_t *info,
                         greg_t *registers) {
    trap(activation, SIGSEGV, info, registers);
    struct trap *trap = &activation->trap;
    trap->code = SEGV_MAPERR;
    if (outcome->owner >= 0) {
        trap->owner = outcome->owner;
        trap->outcome = outcome->outcome;
        trap->outcome_key = outcome->outcome_key;
        trap->access = outcome->access;
        trap->fault_address = activation->instance->base + outcome->offset;
    } else if (outcome->fault.how != 0) {
        trap->signal = (int)(outcome->fault.how & 0xff);
        trap->access = (int8_t)(outcome->fault.how >> 8);
        trap->code = (int)(outcome->fault.how >> 32);
        trap->fault_address = outcome->fault.address;
    }
}

/* Whether the fault is dealt with: the instruction may be tried again, was executed on the side, or has trapped. */
static bool resolved(struct activation *activation, int signal, const siginfo_t *info, void *context) {
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    int access = access_of(registers);
    struct heap_outcome outcome;
    bool missing = (signal == SIGBUS && info->si_code == BUS_ADRERR) ||
                   (signal == SIGSEGV && (info->si_code == SEGV_MAPERR || info->si_code == SEGV_ACCERR));
    if ((access == 0 || access == 1) && missing &&
        tmebox_touched_heap(activation, (uint64_t)(uintptr_t)info->si_addr, access, context, &outcome)) {
        if (outcome.kind == HEAP_TRAPS) {
            trap_in_heap(activation, &outcome, info, registers);
        } else if (outcome.kind == HEAP_WANTS_FORM) {
            record(activation, 0, NULL, registers);
            activation->wants_form = true;
            tmebox_redirect_to_poll(activation, context);
        }
        return true;
    }
    if (signal == SIGSEGV && opened_stack(activation, info)) {
        return true;
    }
    return signal == SIGBUS && installed(activation, info, registers);
}

/* -- looking at Python's signals ------------------------------------------------------------------ */

static bool redirect_to_poll(void *context) {
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    struct activation *activation = interrupted(registers);
    if (activation == NULL) {
        defer();
    } else if (is_astray(activation)) {
        stop_astray(activation, registers);
        return true;
    } else if (activation->thread->main) {
        record(activation, 0, NULL, registers);
        tmebox_redirect_to_poll(activation, context);
        return true;
    }
    return false;
}

/* -- handlers ------------------------------------------------------------------------------------- */

/* The watchdog finds that sandbox code has had the GIL for too long. */
static bool must_release(const struct thread *thread) {
    uint64_t held = atomic_load_explicit(&thread->held, memory_order_relaxed);
    return held != 0 && atomic_load(&thread->release) == held;
}

/* The watchdog's signal, or one that was deferred. It comes again until the call has ended. */
static void interrupt(const siginfo_t *info, void *context) {
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    struct activation *activation = interrupted(registers);
    if (activation == NULL) {
        defer();
    } else if (is_astray(activation)) {
        stop_astray(activation, registers);
    } else if (atomic_load(&activation->thread->expired) == activation->watch.sequence) {
        trap(activation, 0, info, registers);
    } else {
        bool polls = atomic_load(&tmebox_poll_requested) || must_release(activation->thread);
        if (!polls || !redirect_to_poll(context)) { /* the request may be for another thread */
            tmebox_end_turn(activation, context);
        }
    }
}

static void on_interrupt(int signal, siginfo_t *info, void *context) {
    (void)signal;
    int error = errno;
    interrupt(info, context);
    errno = error;
}

/* What the watchdog sends where the queue of real-time signals is full. */
static bool is_nudge(int signal) {
    return signal == NUDGE_SIGNAL && tmebox_thread != NULL && atomic_exchange(&tmebox_thread->nudged, false);
}

static void on_fault(int signal, siginfo_t *info, void *context) {
    int error = errno;
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    bool real = info->si_code > 0; /* made by the CPU, not sent by someone */
    struct activation *activation = interrupted(registers);
    if (real && activation != NULL && was_deferred(activation, registers)) {
        interrupt(info, context);
    } else if (real && activation != NULL && !is_astray(activation) && resolved(activation, signal, info, context)) {
        /* the instruction is tried again, or the sandbox was left */
    } else if (real && activation == NULL && signal == SIGBUS && installed(NULL, info, registers)) {
        /* the same for host code */
    } else if (real && activation != NULL) {
        trap(activation, signal, info, registers);
    } else if (!real && is_nudge(signal)) {
        interrupt(info, context);
    } else if (!real || !window_access(signal, info, registers)) {
        tmebox_hand_on(signal, info, context);
        if (is_astray(activation)) {
            stop_astray(activation, registers);
        }
    }
    errno = error;
}

void tmebox_init_traps(void) {
    static const struct signal_actions actions = {on_fault, on_interrupt, redirect_to_poll};
    tmebox_signal_actions = &actions;
}
