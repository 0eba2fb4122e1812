/* What the core knows while a thread is in a sandbox: one `activation` per call, on the C stack of that call.
 *
 * Its first fields are read by assembly; their offsets are checked below. */
#ifndef TMEBOX_ACTIVATION_H
#define TMEBOX_ACTIVATION_H

#include "abi.h" /* all that assembly may have; the rest is below */

#define THREAD_CURRENT 0

#define ACTIVATION_HOST_RSP 0
#define ACTIVATION_HOST_MXCSR 8
#define ACTIVATION_HOST_X87 12
#define ACTIVATION_SANDBOX_MXCSR 16
#define ACTIVATION_SANDBOX_X87 20
#define ACTIVATION_VECTOR_COUNT 24
#define ACTIVATION_CLOCK_IMPORT 32
#define ACTIVATION_RSP 40
#define ACTIVATION_RETURN_GATE 48
#define ACTIVATION_SYSTEM_IMPORT 56
#define ACTIVATION_INDEX 64
#define ACTIVATION_RAX 72
#define ACTIVATION_RDX 80
#define ACTIVATION_INTEGERS 88
#define ACTIVATION_VECTORS 136
#define ACTIVATION_SCRATCH 200
#define ACTIVATION_R15 208
#define ACTIVATION_ADDRESS 216

/* Bits of a vector policy. */
#define POLICY_AVX 1
#define POLICY_AVX512 2

/* The gate page beyond the two gates of abi.py: not in the target map, so no sandbox gets here. The entering
 * call is three bytes long and returns to GATE_EXIT. */
#define GATE_ENTER_OFFSET (TMEBOX_GATE_EXIT - TMEBOX_GATE_BASE - 3)
#define GATE_ENTER (TMEBOX_GATE_BASE + GATE_ENTER_OFFSET)
#define GATE_RETURN_R15_OFFSET 0x80
#define GATE_RETURN_UNCHECKED_OFFSET 0xc0
#define GATE_DEFERRED_OFFSET 0x100
#define GATE_NOWHERE_OFFSET 0x120
#define GATE_POINTERS_OFFSET 0x140
#define GATE_RETURN(offset) (TMEBOX_GATE_BASE + (offset))

#ifndef __ASSEMBLER__

#include "enter/instance.h"
#include "threads/thread.h"

enum outcome {
    RETURNED, /* through the exit gate; rax, rdx, vectors[0..1] hold the result */
    TRAPPED,  /* `trap` says why */
    RAISED,   /* a Python exception is set */
};

/* Registers in the order of x86 instruction encoding: rax rcx rdx rbx rsp rbp rsi rdi r8 … r15; then the flags. */
#define REGISTERS 17
#define REGISTER_RSP 4

struct trap {
    int signal; /* 0: the time limit or, with a code, an interrupt whose handler had no stack of its own */
    int code;
    int access; /* 0 read, 1 write, 2 execute, -1 unknown */
    int owner;  /* the key of a line of the shared heap that is not the sandbox's; -1: it is not about one */
    int outcome, outcome_key; /* what its memory says of that, see tme/machine.h, and under which key */
    uint64_t fault_address;
    uint64_t instruction_address;
    uint64_t stack_top; /* of the thread whose stack has run out, in the heap; 0: none, or the first's */
    uint64_t registers[REGISTERS];
};

/* What the watchdog needs to know of the call a thread is in. */
struct watch {
    uint64_t sequence;    /* 0: outside; else different for every activation of the thread */
    uint64_t timeout_ns;  /* since the watchdog saw it; 0: none */
    uint64_t deadline_ns; /* on the watchdog's clock: an outer call's or, after an inner one, its own */
};

/* What a call that began inside others puts back when it ends. */
struct outer {
    struct watch watch; /* what its thread was in */
    uint64_t rsp;       /* the sandbox's */
    struct guest_descriptors *running;
    struct instance *suspended;
    uint32_t text_used; /* of the sandbox's room for texts */
};

struct activation {
    uint64_t host_rsp;
    uint32_t host_mxcsr;
    uint32_t host_x87;
    uint32_t sandbox_mxcsr;
    uint32_t sandbox_x87;
    uint32_t vector_count; /* vector registers that hold arguments: what al is to a variadic function */
    uint64_t clock_import; /* the index that asks for clocks, if they may be told; else NO_IMPORT */
    uint64_t rsp; /* the sandbox's: to enter with, then as found at the last host call */
    uint64_t return_gate; /* where host calls go back through; or, where an interrupt waits for that, GATE_DEFERRED */
    /* So far, all that telling a clock needs: one cache line or two. */
    uint64_t system_import; /* the index of system calls, where there are descriptors for them; else NO_IMPORT */
    uint64_t index;
    uint64_t rax;
    uint64_t rdx;
    uint64_t integers[6]; /* arguments going in; at a host call, arguments coming out */
    uint64_t vectors[8];
    uint64_t scratch;
    uint64_t r15; /* to enter with: the window's base, or 0 where gs holds that */
    uint64_t address;

    struct instance *instance;
    PyThreadState *python;
    struct guest_descriptors *descriptors; /* its own, or NULL */
    struct thread *thread;
    struct watch watch;
    struct control *control; /* the stack that it began on, if that is one */
    uint32_t depth; /* of the instance: 1 for its outermost call */
    uint32_t text_used; /* up to where its texts are in the room for them; 0: it has none */
    enum outcome outcome;
    bool holds_gil;
    bool fatal;   /* the instance may not be used again */
    bool polling; /* interrupted, not in a host call; `trap` says where */
    bool wants_form; /* polling because the instruction there has no form to be executed on the side by */
    PyObject *pending; /* an exception that a callback left to the end of the call, or NULL */
    struct outer outer; /* only of calls that may be inside others */
    struct trap trap;
    uint32_t kept_known;       /* bits: which of these could be read */
    uint64_t kept[KEPT_WORDS]; /* the sandbox's words when it began, of a call inside another of the same sandbox */
};

#define AT(name, offset) static_assert(offsetof(struct activation, name) == (offset), #name)
AT(host_rsp, ACTIVATION_HOST_RSP);
AT(host_mxcsr, ACTIVATION_HOST_MXCSR);
AT(host_x87, ACTIVATION_HOST_X87);
AT(sandbox_mxcsr, ACTIVATION_SANDBOX_MXCSR);
AT(sandbox_x87, ACTIVATION_SANDBOX_X87);
AT(vector_count, ACTIVATION_VECTOR_COUNT);
AT(clock_import, ACTIVATION_CLOCK_IMPORT);
AT(rsp, ACTIVATION_RSP);
AT(return_gate, ACTIVATION_RETURN_GATE);
AT(system_import, ACTIVATION_SYSTEM_IMPORT);
AT(index, ACTIVATION_INDEX);
AT(rax, ACTIVATION_RAX);
AT(rdx, ACTIVATION_RDX);
AT(integers, ACTIVATION_INTEGERS);
AT(vectors, ACTIVATION_VECTORS);
AT(scratch, ACTIVATION_SCRATCH);
AT(r15, ACTIVATION_R15);
AT(address, ACTIVATION_ADDRESS);
#undef AT

static_assert(offsetof(struct thread, current) == THREAD_CURRENT, "current");

/* -- enter.S -------------------------------------------------------------------------------------- */
void tmebox_enter(struct activation *activation);
void tmebox_leave(void);

/* -- gates.S -------------------------------------------------------------------------------------- */
void tmebox_poll_entry(void);
void tmebox_gate_hostcall(void);
void tmebox_gate_exit(void);
extern const unsigned char tmebox_gate_page[], tmebox_gate_page_end[];

#endif
#endif
