/* Side execution: an instruction that touches memory which no view shows is executed on the host's own mapping of
 * it. What it accesses is worked out first, so that whoever owns the memory can say whether it may.
 *
 * A *form* says what an instruction accesses, and how it is executed: mostly by a *stub*, the same instruction with
 * the memory operand `(%R)`, R being a register that it does not use. Python makes forms, when they are first
 * needed. They are kept by the instruction's bytes, a bounded number of them, and found by its address.
 *
 * All but publishing is async-signal-safe. The order of calls: find, accesses, (the owner's locks and checks),
 * execute, release. */
#ifndef TMEBOX_SIDE_H
#define TMEBOX_SIDE_H

/* Offsets in struct side_run, for side.S; checked below. */
#define SIDE_RUN_FLAGS 128
#define SIDE_RUN_STUB 136
#define SIDE_RUN_STATE 144
#define SIDE_RUN_STATE_BITS 152
#define SIDE_RUN_FAULT 160

#ifndef __ASSEMBLER__

#include "process.h"
#include "windows/window.h"

#include <ucontext.h>

/* How instructions are executed. The same numbers are in runtime/side.py. */
enum side_kind {
    SIDE_STUB,
    SIDE_MASKED, /* a stub too, but only the lanes are accessed whose bit in a mask register is set */
    SIDE_STORE_STRING,
    SIDE_MOVE_STRING,
    SIDE_PUSH,
    SIDE_POP,
    SIDE_CALL,
    SIDE_JUMP,
    SIDE_KINDS
};

#define SIDE_STATE_PLAIN 0x80000000
#define SIDE_READS 1
#define SIDE_WRITES 2

#define SIDE_LONGEST 15 /* bytes of an instruction */
#define SIDE_REGISTERS 16
#define SIDE_RIP 16  /* as a base register: the address behind the instruction */
#define SIDE_NONE 255

#define SIDE_ADDRESS_SHORT 1 /* the address is cut to 32 bits */
#define SIDE_ADDRESS_GS 2    /* and is an offset in the window, not a host address */
#define SIDE_REPEATS 4       /* a string instruction with `rep` */
#define SIDE_NEVER_FAULTS 8  /* its stub, on memory that is there */
#define SIDE_FAULTS_UNMASKED 16 /* the same, unless MXCSR lets an exception through */

/* Numbers of registers are those of x86 encodings. */
struct side_shape {
    uint8_t encoding[SIDE_LONGEST], length;
    uint8_t kind, how, flags;
    uint8_t base, index, scale;
    int32_t displacement;
    uint32_t size;     /* bytes of its operand; of one element, of strings */
    uint8_t pointer;   /* R */
    uint8_t for_rsp;   /* the register that the stub has instead of rsp, or SIDE_NONE */
    uint8_t mask, lane; /* the mask register, and bytes of a lane */
    uint32_t state;    /* extended state that it uses: bits as in XCR0 */
    uint8_t stub_length;
    uint8_t stub[SIDE_LONGEST];
};

struct side_form {
    struct side_shape shape;
    _Atomic uint32_t users; /* how many are executing it, and SIDE_ALIVE if it may be found */
};

struct side_access {
    uint32_t offset; /* in the window; what follows may lie beyond its end */
    uint32_t size;   /* bytes, not 0 */
    uint32_t how;    /* SIDE_READS, SIDE_WRITES or both */
};

/* At most so many: the lanes of a mask, or the two sides of a string instruction. */
#define SIDE_ACCESSES 32

enum side_result {
    SIDE_DONE,    /* the context goes on behind the instruction, or in the middle of a string */
    SIDE_FAULTED, /* nothing has changed; `fault` says what the CPU had against it */
};

/* -- side_forms.c: which there are ---------------------------------------------------------------------- */
#define SIDE_FORMS 16384

/* The form of the instruction at the address, or NULL: none was made, or it is not there any more. Whoever found one
 * releases it; until then it stays what it is. Who executes it has let faults in before, unless it never faults and all
 * that it accesses is there: the kernel ends a process whose fault is blocked. */
struct side_form *tmebox_side_find(uint64_t instruction_address);
void tmebox_side_release(struct side_form *form);
/* The bytes at the address, as far as they can be read: how many. */
size_t tmebox_side_read(uint64_t instruction_address, uint8_t bytes[SIDE_LONGEST]);
/* Has what forms need, which takes a descriptor for a moment, before a sandbox needs it. With the GIL held; 0 or an errno. */
int tmebox_side_prepare(void);
/* Makes a form known, with the GIL held. 0 or an errno; EAGAIN: not while so many are being executed. */
int tmebox_side_publish(const struct side_shape *shape);
/* Makes the form of the instruction there known, with the GIL held. 0, or -1 with an exception set. */
extern int (*tmebox_make_side_form)(uint64_t instruction_address);
struct side_counts {
    uint64_t published, evicted;
    uint32_t kept;
};
struct side_counts tmebox_side_count(void);
/* 0 or an errno. */
int tmebox_side_init(void);
/* The stub of a form, executable. */
const void *tmebox_side_stub(const struct side_form *form);
/* Whether the instruction address is in a stub. */
bool tmebox_side_in_stub(uint64_t address);

/* An instruction that is about to be executed. pointers: where what it accesses is for the host. That may be in the
 * window, for what is not shared. */
struct side_call {
    ucontext_t *context;
    uint64_t window_base;
    size_t count;
    struct side_access accesses[SIDE_ACCESSES];
    void *pointers[SIDE_ACCESSES];
};

/* -- side_access.c -------------------------------------------------------------------------------------- */
/* Fills in count and accesses: what the instruction accesses in this state: the lanes that a mask leaves, by address; of
 * strings what they read, then what they write, as much as lies in one page. False: nothing, or not in the window. The
 * sandbox's own stack, where push and pop go, is none of it. */
bool tmebox_side_accesses(const struct side_form *form, struct side_call *call);
/* Only the first `size` bytes of this access are allowed: cuts all of them to the whole elements that are. False:
 * not one is; an instruction that is no string is executed entirely or not at all. */
bool tmebox_side_cut(const struct side_form *form, struct side_call *call, size_t which, uint32_t size);
/* How many bytes of the operand lie before its first access: lanes that a mask leaves out. */
uint32_t tmebox_side_unmasked(const struct side_shape *shape, const ucontext_t *context);

/* Registers by their numbers in encodings. */
extern const uint8_t tmebox_side_registers[SIDE_REGISTERS];
static inline uint64_t tmebox_side_register(const ucontext_t *context, uint8_t number) {
    return (uint64_t)context->uc_mcontext.gregs[tmebox_side_registers[number]];
}

/* -- side_run.c ----------------------------------------------------------------------------------------- */
/* Executes the instruction that the context is at. */
enum side_result tmebox_side_execute(const struct side_form *form, const struct side_call *call,
                                            struct window_fault *fault);
/* Whether its stub surely does not fault in this state, on memory that is there. */
bool tmebox_side_never_faults(const struct side_form *form, const ucontext_t *context);
/* Where to go on after a fault at this instruction of ours, or 0: it is none that may fault. rax is then the address
 * and rdx says how, as in `struct window_fault`. */
uint64_t tmebox_side_resume(uint64_t instruction_address);

/* -- side.S --------------------------------------------------------------------------------------------- */
struct side_run {
    uint64_t registers[SIDE_REGISTERS];
    uint64_t flags;
    const void *stub;
    void *state;         /* an xsave area, or NULL: the form uses none */
    uint64_t state_bits; /* of it; 0: this CPU knows fxsave only; SIDE_STATE_PLAIN: vectors and MXCSR, all in the old 512 bytes */
    struct window_fault fault;
};

#define AT(name, offset) static_assert(offsetof(struct side_run, name) == (offset), #name)
AT(flags, SIDE_RUN_FLAGS);
AT(stub, SIDE_RUN_STUB);
AT(state, SIDE_RUN_STATE);
AT(state_bits, SIDE_RUN_STATE_BITS);
AT(fault, SIDE_RUN_FAULT);
#undef AT

/* Runs the stub with these registers but rsp. False: it faulted. */
bool tmebox_side_run(struct side_run *run);
void tmebox_side_run_faulted(void);
/* `count` elements of 1 << `order` bytes. What faulted is returned, and how many elements are left. */
struct window_fault tmebox_side_move(void *to, const void *from, uint64_t *count, unsigned order);
struct window_fault tmebox_side_store(void *to, uint64_t value, uint64_t *count, unsigned order);
void tmebox_side_string_faulted(void);
extern const unsigned char tmebox_side_string_begin[], tmebox_side_string_end[];

#endif
#endif
