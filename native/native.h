/* What the files of the core share about Python. */
#ifndef TMEBOX_NATIVE_H
#define TMEBOX_NATIVE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include <signal.h>

#include "activation.h"

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define RARE __attribute__((cold, noinline)) /* kept away from the code around its call */

#define IDLE 0
#define RUNNING 1
#define DEAD 2

/* A function's arguments or a host function's. More than this goes through Instance.call. */
#define MAX_ARGUMENTS 64

/* Texts start at multiples of this in the room lent for them. */
#define TEXT_ALIGN 16

/* -- conversion by code (codes.c) -------------------------------------------------------------------- */
/* Where an argument travels, in System V's order. */
enum place { IN_INTEGER, IN_VECTOR, ON_STACK };

struct parameter {
    char code;
    uint8_t place;
    uint8_t index;
};

struct signature {
    int count;
    int stack_count;
    int vector_count;
    char result;
    bool pointers; /* some parameter may be a buffer */
    struct parameter parameters[MAX_ARGUMENTS];
};

/* 0, or -1 with ValueError set. */
int tmebox_parse_signature(struct signature *signature, const char *arguments, const char *result);
/* Whether `value` converts exactly; leaves no exception. Buffers do not convert here. */
bool tmebox_to_word(char code, PyObject *value, uint64_t *word);
PyObject *tmebox_from_word(char code, uint64_t word);

/* -- instances (instance.c) -------------------------------------------------------------------------- */
struct import {
    PyObject *handler;
    char *name; /* for messages */
    bool raw;
    struct signature signature;
};

struct instance {
    PyObject_HEAD
    uint64_t base;
    uint64_t stack_low;
    uint64_t stack_top;
    uint64_t r15;         /* the base, if the code expects it there; else 0, and gs is set to it */
    uint64_t return_gate; /* where host calls go back through */
    uint64_t timeout_ns;
    PyObject *make_trap;
    struct import *imports;
    uint32_t import_count;
    uint32_t depth;
    bool dead;             /* until its window is made anew */
    bool paused;           /* dead for a moment, while it is made anew or looked at */
    bool closed;           /* for ever */
    bool interrupted;      /* stopped at any instruction, while Python runs: nothing may enter or write it */
    uint32_t generation;   /* of the process: an instance of a parent process is none here */
    struct window *window; /* NULL: not one of ours */
    struct thread *thread; /* who is in it, while depth > 0 */
    uint64_t rsp;          /* the sandbox's at the host call we are in, while depth > 0 */
    uint32_t text_offset;  /* room in the arena for texts that are arguments; stacked like calls */
    uint32_t text_size;    /* 0: none was lent */
    uint32_t text_used;
    PyObject *weak;
};

extern PyTypeObject tmebox_instance_type, tmebox_function_type, tmebox_export_type, tmebox_region_type;
extern unsigned long long tmebox_trap_count;
extern PyObject *tmebox_busy_error, *tmebox_closed_error, *tmebox_limit_error;

/* Runs one call: the caller fills in address, integers, vectors and vector_count. 0, or -1 with an
 * exception set. */
int tmebox_run(struct instance *instance, struct activation *activation, const uint64_t *stack,
               size_t stack_count, uint64_t timeout_ns);
/* The same without stack arguments, but sandboxed code is entered `times` times (at least once), or until it
 * does not return. It is one call all the same, with its limits. */
int tmebox_run_repeatedly(struct instance *instance, struct activation *activation, uint64_t timeout_ns,
                          uint64_t times);
/* function.c. Calls a Function of type `void (void)`, entering so often: 0, or -1 with an exception set. */
bool tmebox_is_plain(PyObject *function);
int tmebox_call_plain(PyObject *function, uint64_t times_entered);
void tmebox_raise_closed(const struct instance *instance);
PyObject *tmebox_raise_busy(void); /* NULL */
/* Whether the calling thread may change the sandbox's memory now; else an exception is set. To be asked with the GIL
 * held, and used before it is let go. */
bool tmebox_may_write(const struct instance *instance);

/* imports.c. Instance.set_imports. */
PyObject *tmebox_set_imports(PyObject *instance, PyObject *rows);
void tmebox_free_imports(struct import *imports, uint32_t count);

/* Counts forks on the way from the first process to this one. */
extern uint32_t tmebox_generation;

/* Leaving sandbox code for the host and going back, around whatever runs in between (a host function,
 * Python's signal handlers). `resume` is called with the GIL held and drops it; -1: the activation must be
 * left, with its outcome decided. */
void tmebox_suspend(struct activation *activation);
int tmebox_resume(struct activation *activation);
/* Decides that the activation, now in a host call, ends in a trap. */
void tmebox_trap_in_host(struct activation *activation, struct window_fault fault);

/* -- signals ----------------------------------------------------------------------------------------- */
enum handlers {
    HANDLERS_ABSENT,
    HANDLERS_STALE, /* somebody replaced some of them */
    HANDLERS_CURRENT,
};

extern _Atomic int tmebox_handlers;
int tmebox_install_handlers(void);
int tmebox_ensure_handlers(void);
int tmebox_remove_handlers(void);
bool tmebox_handlers_current(void);
/* Those that end or interrupt sandboxed code. */
void tmebox_needed_signals(sigset_t *set);

/* Foreign handlers (guard.c). */
void tmebox_init_guard(void);
bool tmebox_guard_foreign_handlers(bool may_wrap);
void tmebox_unwrap_python_handlers(void);
extern _Atomic bool tmebox_poll_requested;
/* If the signal interrupted sandbox code of the main thread: look at Python's signals before it goes on. */
bool tmebox_redirect_to_poll(void *context);

/* -- watchdog.c -------------------------------------------------------------------------------------- */
extern _Atomic int tmebox_watchdog_state;
#define WATCHDOG_AWAKE 0
#define WATCHDOG_DOZING 1 /* knows all calls that run: only a new one must wake it */
#define WATCHDOG_ASLEEP 2
#define WATCHDOG_ABSENT 3
extern int tmebox_interrupt_signal;
#define NUDGE_SIGNAL SIGILL
/* Whether the handler of NUDGE_SIGNAL is ours. */
bool tmebox_can_nudge(void);
int tmebox_wake_watchdog(void);
#define WATCHDOG_TICK_NS 5000000ULL               /* the longest; 1 ms while limited calls run */
extern _Atomic uint64_t tmebox_watchdog_clock_ns; /* as of the last tick */

/* -- tables of methods ------------------------------------------------------------------------------- */
extern PyMethodDef tmebox_memory_methods[], tmebox_cpu_methods[], tmebox_crossing_methods[],
    tmebox_hostcall_methods[];

#endif
