/* Instance: what the core knows of one sandbox, its host functions among it. */
#ifndef TMEBOX_INSTANCE_H
#define TMEBOX_INSTANCE_H

#include "process.h"

struct activation;
struct control;
struct guest_descriptors;
struct heap;
struct thread;
struct window;

/* A function's arguments or a host function's. More than this goes through Instance.call. */
#define MAX_ARGUMENTS 64

/* Where an argument travels, in System V's order. */
enum place { IN_INTEGER, IN_VECTOR, ON_STACK };

struct parameter {
    char code;
    uint8_t place;
    uint8_t index;
    char item; /* of a pointer, what it points to: see tmebox_items_fit */
    bool takes_digit; /* an int that is one digit of Python's, not below 0, is itself as a word */
    uint8_t words;    /* of a struct by value; the first is at place and index, on the stack the others follow */
    uint8_t second_place, second_index; /* of a second one in registers */
    PyObject *kind; /* and which typed pointers it takes, an interned str; NULL: any. Borrowed of the export */
    PyObject *layout; /* of the struct that it is or points to, a StructLayout; or NULL. Borrowed of the export */
};

struct signature {
    int count;
    int stack_count;
    int vector_count;
    char result;
    bool pointers; /* some parameter may be a buffer, or a struct is passed or returned */
    bool returns_memory; /* a struct, for which rdi says where to put it */
    struct parameter parameters[MAX_ARGUMENTS];
};

/* No index of an import: indexes arrive in 32 bits. */
#define NO_IMPORT UINT64_MAX

/* What one slot of the import table leads to. */
struct import {
    /* If not NULL, all the rest is: what the core answers by itself, with the result. */
    int64_t (*native)(struct activation *activation);
    /* python/hostfunction.c. 0 with the result in the activation's registers, or -1: with an exception set, or
     * with the outcome decided. */
    int (*call)(struct activation *activation, const struct import *import);
    bool system; /* it is how system calls come: some are answered before, by datapath.c */
    bool has_fallback; /* what it raises waits for the end of the call, and this is its result: */
    uint64_t fallback[4]; /* rax, xmm0, rdx, xmm1 */
    PyObject *handler;
    char *name; /* for messages */
    PyObject *convert; /* makes a word of a result that does not convert exactly, or raises; may be NULL */
    PyObject *read; /* read(index, offset) for a text that is not read here; may be NULL */
    PyObject *makers; /* a tuple: of each parameter, what makes an argument of an offset, or None; may be NULL */
    struct signature signature;
};

/* An import that comes and goes. */
struct callback {
    struct import import; /* `call` counts who is in it */
    int (*inner)(struct activation *activation, const struct import *import);
    uint32_t callers; /* calls that are in it */
    bool in_table;
    bool closed;
};

/* A word that is put back where an exception ends a call: see kept.c. All are offsets, but the value. */
struct kept {
    uint32_t base;       /* of a word that is added to `place`; 0: nothing is */
    uint32_t place;
    uint32_t at_rest;    /* what it is before an outermost call, */
    uint32_t rest_place; /* unless that is told here */
};

#define KEPT_WORDS 8

struct instance {
    PyObject_HEAD
    uint64_t base;
    uint64_t stack_low;
    uint64_t stack_top;
    bool has_control;      /* its stack is a control stack, with a twin in the window */
    struct control *first;   /* the first thread's, if it is still its own; sure to be while depth > 0 */
    struct control *control; /* of the thread that runs; else the first's */
    uint64_t entry; /* where rsp comes from when nothing runs: the stack's top, or the control stack's */
    struct control **fibers; /* of the other threads, by number; NULL where there is none */
    uint32_t fiber_count;
    uint64_t slices;         /* TURN_ENDS with since when, or 0: what calls tell the watchdog */
    uint64_t fiber_room; /* bytes that their stacks may have together */
    uint64_t control_base; /* of the one that it has, or had last */
    uint64_t serial;       /* owner of control stacks: another one after a reset */
    uint64_t r15;         /* the base, if the code expects it there; else 0, and gs is set to it */
    uint64_t return_gate; /* where host calls go back through */
    uint64_t timeout_ns;
    PyObject *make_trap;
    struct import *imports;
    uint32_t import_count;
    uint64_t system_import; /* of imports, how system calls come; or NO_IMPORT */
    /* Functions that sandboxed code has by pointer: their trampolines pass TMEBOX_MAX_IMPORTS + index. The table
     * changes while calls run, under the GIL, and its entries count who uses them (python/callbacks.c). */
    struct callback **callbacks;
    uint32_t callback_count; /* entries of the table; some may be NULL */
    uint32_t callback_next;  /* where to look for a free one first */
    uint32_t callback_first; /* lower numbers are another sandbox's, of which this one has the memory */
    const struct import *callback_lost; /* what such a one leads to; NULL where callback_first is 0 */
    PyObject *handles;       /* a dict: what the words that stand for objects of the host stand for; or NULL */
    uint32_t depth;
    bool dead;             /* until its window is made anew */
    bool paused;           /* dead for a moment, while it is made anew or looked at */
    bool closed;           /* for ever */
    bool in_host;          /* a call of it waits for a function of the host, and rsp says where */
    bool interrupted;      /* stopped at any instruction, while Python runs: nothing may enter or write it */
    uint32_t generation;   /* of the process: an instance of a parent process is none here */
    struct window *window; /* NULL: not one of ours */
    struct heap *heap;     /* NULL: none */
    uint16_t key;          /* of the heap; 0: none, or none any more */
    uint32_t key_serial;   /* the key is its own as long as the heap's says the same */
    struct thread *thread; /* who is in it, while depth > 0 */
    uint64_t rsp;          /* the sandbox's at the host call we are in, while depth > 0 */
    struct guest_descriptors *descriptors; /* of calls that bring none of their own; or NULL */
    struct guest_descriptors *running;     /* of the call that runs; borrowed */
    PyObject *text_room;   /* an Extent, or NULL */
    uint32_t text_offset;  /* room in the arena for texts that are arguments; stacked like calls */
    uint32_t text_size;    /* 0: none was lent */
    uint32_t text_used;
    PyObject *weak;
    uint32_t kept_count;
    struct kept kept[KEPT_WORDS];
};

#endif
