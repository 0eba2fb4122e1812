/* Control stacks: see control.c. */
#ifndef TMEBOX_CONTROL_H
#define TMEBOX_CONTROL_H

/* For resume.S, too. */
#define INTERRUPTED_VECTORS 832
#define INTERRUPTED_REGISTERS INTERRUPTED_VECTORS
#define INTERRUPTED_RIP (INTERRUPTED_REGISTERS + 16 * 8)
#define INTERRUPTED_FLAGS (INTERRUPTED_RIP + 8)

#ifndef __ASSEMBLER__

#include "enter/instance.h"

#include <stdatomic.h>
#include <string.h>

/* A thread between two of its instructions, any two. */
struct interrupted {
    uint8_t vectors[INTERRUPTED_VECTORS]; /* as `xsave` writes it: x87, SSE and AVX */
    uint64_t registers[16];               /* in the order of x86's encodings */
    uint64_t rip, flags;
};

/* Since when there can be something of a thread that its stack does not show: see tmebox_stacks_hold. */
enum standing {
    AT_A_CALL,   /* it stands, or runs since it stood, where it had called */
    BETWEEN_ANY, /* it stands, and `interrupted` says where */
    WENT_ON,     /* it runs since it stood so, and has not called a function of the host's */
};

#define AT(name, offset) static_assert(offsetof(struct interrupted, name) == (offset), #name)
AT(registers, INTERRUPTED_REGISTERS);
AT(rip, INTERRUPTED_RIP);
AT(flags, INTERRUPTED_FLAGS);
#undef AT

struct control {
    struct interrupted interrupted; /* first: `xrstor` wants it aligned */
    uint64_t base;     /* where offsets count from: a multiple of the window's size and the distance */
    uint64_t owner;    /* 0: nobody */
    uint32_t calls;    /* of the host's that began on it and have not ended */
    uint32_t unused;   /* owners in a row that did not go down to where it is open */
    uint64_t begun;    /* when the first of its calls did, or the thread */
    uint64_t low, top; /* offsets of the stack */
    uint64_t open;     /* from here on it can be touched: low, or so little below top that most calls need no more */
    uint64_t rsp;      /* offset, of a thread that stands; else 0. Of one that was interrupted it may be below 0 */
    _Atomic uint64_t changes;      /* begins to be interrupted, or to go on after that */
    _Atomic enum standing standing;
    uint32_t number;   /* of the thread, in its sandbox; the first is 0 */
    bool wide;         /* it has the addresses of two windows: offsets up to the window's end */
    bool of_thread;    /* it is a thread's, which stands or runs, and not the first one's */
    bool ended;        /* it will not go on; what it had is to be given back */
    const struct instance *instance;
    struct control *next, *previous; /* of those that have an owner, or next of those that have none */
};

/* Of its addresses, which begin at its base less TMEBOX_TWIN_DISTANCE. */
static inline uint64_t tmebox_control_size(const struct control *control) {
    return control->wide ? 2 * TMEBOX_WINDOW_SIZE : TMEBOX_WINDOW_SIZE;
}

/* The distance is no multiple of a page: a control stack begins and ends a little later than its twin. */
static inline char *tmebox_control_page(const struct control *control, uint64_t offset) {
    return (char *)(uintptr_t)((control->base + offset + TMEBOX_PAGE_SIZE - 1) / TMEBOX_PAGE_SIZE * TMEBOX_PAGE_SIZE);
}

/* A call is on it, or a thread: nobody else may have it. */
static inline bool tmebox_is_in_use(const struct control *control) {
    return control->calls != 0 || control->of_thread;
}

/* The first of those that have an owner. */
const struct control *tmebox_owned_controls(void);

/* A number that no other owner has. */
uint64_t tmebox_control_owner(void);

/* One with a stack there, for a thread. NULL with an exception set. */
struct control *tmebox_get_control(const struct instance *instance, uint64_t low, uint64_t top);
void tmebox_put_control(struct control *control);

/* The first thread's, for an instance that nobody runs, and that has none. False with an exception set. */
bool tmebox_find_control(struct instance *instance);

/* So that a later owner can have what an instance had, which takes another serial number or ends. Idempotent. */
void tmebox_leave_control(struct instance *instance);

/* What its owner left there, and how many bytes; 0 if it has another one by now, or there is no such part. */
uint64_t tmebox_read_control(const struct instance *instance, uint64_t offset, void *to, uint64_t size_bytes);

/* What is there can be touched from now on, and more than that. False: it could already, it is not of the stack, or the
 * system refuses. Async-signal-safe. */
bool tmebox_open_control(struct control *control, uint64_t offset);

/* The time at which calls begin, which goes on when somebody has to know who began by now. */
extern uint64_t tmebox_control_clock;

/* Whether a call that began by `since`, or a thread that stands, may come back to an address in [start, end): its stack
 * says so, or it runs and cannot be asked, or the stacks have too much to look at. */
bool tmebox_stacks_hold(uint64_t start, uint64_t end, uint64_t since);

/* The first thread's, for a call of an instance that nobody runs. False with an exception set. */
static inline bool tmebox_take_control(struct instance *instance) {
    if (UNLIKELY(instance->first == NULL || instance->first->owner != instance->serial) && !tmebox_find_control(instance)) {
        return false;
    }
    instance->first->begun = tmebox_control_clock;
    return true;
}

/* Where the offsets of its stack pointer count from. */
static inline uint64_t tmebox_stack_base(const struct instance *instance) {
    return instance->has_control ? instance->control_base : instance->base;
}

/* Where what the program put beside its stack pointer is: in the window. */
static inline uint64_t tmebox_in_window(const struct instance *instance, uint64_t rsp) {
    return rsp - tmebox_stack_base(instance) + instance->base;
}

#endif
#endif
