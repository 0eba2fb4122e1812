/* Running sandboxed code: what the Python face asks for, and what the files of enter/ ask of each other. */
#ifndef TMEBOX_ENTER_H
#define TMEBOX_ENTER_H

#include "enter/activation.h"
#include "enter/instance.h"
#include "windows/window.h"

/* -- refuse.c: when not to, and what is said then ------------------------------------------------------- */
void tmebox_raise_closed(const struct instance *instance);
PyObject *tmebox_raise_busy(void); /* NULL */
void tmebox_raise_interrupted(void);
/* What a call needs that is rare or only happens once, and everything that can refuse it. The calling thread's record, or
 * NULL with an exception set. */
struct thread *tmebox_prepare_call(struct instance *instance, uint64_t timeout_ns);
/* Whether the calling thread may change the sandbox's memory now; else an exception is set. To be asked with the GIL
 * held, and used before it is let go. */
bool tmebox_may_write(const struct instance *instance);
/* Whether it may be called, if it is not busy. An instance of a parent process is none here. */
/* Whether a stack pointer that the sandbox chose is where rsp stays, so that nobody else writes there. */
static inline bool tmebox_can_be_stack(const struct instance *instance, uint64_t rsp) {
    if (UNLIKELY(instance->stack_low - instance->base >= TMEBOX_UPPER_RSP_START)) {
        return rsp - instance->base - TMEBOX_UPPER_RSP_START < TMEBOX_SHARED_END - TMEBOX_UPPER_RSP_START;
    }
    return rsp - instance->base < TMEBOX_PRIVATE_END;
}

static inline bool tmebox_is_alive(const struct instance *instance) {
    return !instance->dead && instance->generation == tmebox_generation;
}

/* -- run.c ---------------------------------------------------------------------------------------------- */
extern unsigned long long tmebox_trap_count;
extern uint32_t tmebox_vector_policy;
/* Some text changes x87 state, or did before it was unloaded. Set before such a text can run. */
extern bool tmebox_x87_expected;

/* Runs one call: the caller fills in address, integers, vectors and vector_count. 0, or -1 with an
 * exception set. */
int tmebox_run(struct instance *instance, struct activation *activation, const uint64_t *stack,
               size_t stack_count, uint64_t timeout_ns);
/* The same without stack arguments, but sandboxed code is entered `times` times (at least once), or until it
 * does not return. It is one call all the same, with its limits. */
int tmebox_run_repeatedly(struct instance *instance, struct activation *activation, uint64_t timeout_ns,
                          uint64_t times);

/* The same, but entered again after accesses that memory found to have a wrong key, which are counted: for measuring. */
int tmebox_run_into_foreign_lines(struct instance *instance, struct activation *activation, uint64_t timeout_ns,
                                  uint64_t times, uint64_t *detected);

/* Leaving sandbox code for the host and going back, around whatever runs in between (a host function,
 * Python's signal handlers). `resume` is called with the GIL held and drops it; -1: the activation must be
 * left, with its outcome decided. */
void tmebox_suspend(struct activation *activation);
int tmebox_resume(struct activation *activation);

/* -- ends.c --------------------------------------------------------------------------------------------- */
/* Decides that the activation, now in a host call, ends in a trap. */
void tmebox_trap_in_host(struct activation *activation, struct window_fault fault);
/* The same for one that is not in sandboxed code: where it was, as far as messages go. */
void tmebox_trap_at_window(struct activation *activation, struct window_fault fault, uint64_t instruction_address);
/* Sets the exception for it. Runs Python code. */
void tmebox_raise_trap(const struct instance *instance, struct trap *trap);
/* Sets what a callback raised and left to the end of its call, unless something else has ended that: this is more
 * important. Runs Python code. */
void tmebox_raise_pending(struct activation *activation);

/* -- kept.c --------------------------------------------------------------------------------------------- */
/* For a call that begins inside another, and may be of the same sandbox. */
void tmebox_keep_words(struct activation *activation);
/* After a call that an exception has ended, in a sandbox that lives; its frames are gone. */
void tmebox_put_words_back(const struct activation *activation);

/* -- heapcalls.c ---------------------------------------------------------------------------------------- */
/* An import's `native`: what sandboxed code asks of its shared heap. */
int64_t tmebox_shared_heap_call(struct activation *activation);

/* -- poll.c --------------------------------------------------------------------------------------------- */
/* What no sandbox may leave to the host: TF, DF and AC. */
#define FLAGS_OF_SANDBOXES (1 << 8 | 1 << 10 | 1 << 18)

#define TMEBOX_MASK_SIZE 8 /* of the kernel's signal sets: glibc's are larger */

/* From a signal handler that interrupted sandboxed code of the calling thread, whose `trap` says where: leave it as if
 * by a host call, and go on there afterwards. */
void tmebox_redirect_to_poll(struct activation *activation, void *context);

/* -- heapfault.c ---------------------------------------------------------------------------------------- */
enum heap_outcome_kind {
    HEAP_DONE,       /* the context goes on from where it now is */
    HEAP_TRAPS,      /* for the reason given, or because nothing is there */
    HEAP_WANTS_FORM, /* to be executed on the side, by a form that there is not yet */
};

struct heap_outcome {
    enum heap_outcome_kind kind;
    int owner;       /* of the first foreign line; -1: the reason is another */
    int access;      /* 0 read, 1 write, of that */
    uint64_t offset; /* of its first byte that was to be accessed */
    int outcome;     /* what the memory itself said of it, see tme/machine.h; 0: nothing */
    int outcome_key; /* under which key */
    struct window_fault fault;
};

/* What becomes of a fault in sandboxed code at the address. False: it is not about the sandbox's shared heap.
 * Async-signal-safe. */
bool tmebox_touched_heap(const struct activation *activation, uint64_t address, int access, void *context,
                         struct heap_outcome *outcome);

/* -- machinecheck.c ------------------------------------------------------------------------------------- */
/* A trap that came without an address is about a line of the shared heap, if it is. With the GIL held, after the sandbox
 * was left. False: an exception is set, by a signal handler of Python's. */
bool tmebox_explain_machine_check(const struct instance *instance, struct trap *trap);

/* -- trap.c --------------------------------------------------------------------------------------------- */
/* Says what our signal handlers do. Before any is installed. */
void tmebox_init_traps(void);

#endif
