/* Control stacks: see control.c. */
#ifndef TMEBOX_CONTROL_H
#define TMEBOX_CONTROL_H

#include "enter/instance.h"

#include <string.h>

struct control {
    uint64_t base;     /* where offsets count from: a multiple of the window's size and the distance */
    bool wide;         /* it has the addresses of two windows: offsets up to the window's end */
    uint64_t low, top; /* offsets of what can be touched */
    uint64_t owner;
    uint64_t rsp;   /* offset, of a thread that another one has taken its turn from; else 0 */
    bool ended;     /* it will not go on; what it had is to be given back */
    uint32_t calls; /* of the host's that began on it and have not ended */
    uint64_t begun; /* when its owner got it */
    const struct instance *instance;
    struct control *next, *previous; /* of those that are in use, or next of those that are not */
};

/* Of its addresses, which begin at its base less TMEBOX_TWIN_DISTANCE. */
static inline uint64_t tmebox_control_size(const struct control *control) {
    return control->wide ? 2 * TMEBOX_WINDOW_SIZE : TMEBOX_WINDOW_SIZE;
}

/* A number that no other owner has. */
uint64_t tmebox_control_owner(void);

/* One with so much of it. NULL with an exception set. */
struct control *tmebox_get_control(const struct instance *instance, uint64_t low, uint64_t top);
void tmebox_put_control(struct control *control);

/* The first thread's, for an instance that nobody runs. False with an exception set. */
bool tmebox_take_control(struct instance *instance);

/* Idempotent. */
void tmebox_give_control(struct instance *instance);

/* What its last owner left there, and how many bytes; 0 if it has another one by now, or there is no such part. */
uint64_t tmebox_read_control(const struct instance *instance, uint64_t offset, void *to, uint64_t size_bytes);

/* A time for the next function. */
uint64_t tmebox_control_clock(void);

/* Whether a call that began by `since`, or a thread that stands, may come back to an address in [start, end): its stack
 * says so, or it runs and cannot be asked. */
bool tmebox_stacks_hold(uint64_t start, uint64_t end, uint64_t since);

/* Where the offsets of its stack pointer count from. */
static inline uint64_t tmebox_stack_base(const struct instance *instance) {
    return instance->has_control ? instance->control_base : instance->base;
}

/* Where what the program put beside its stack pointer is: in the window. */
static inline uint64_t tmebox_in_window(const struct instance *instance, uint64_t rsp) {
    return rsp - tmebox_stack_base(instance) + instance->base;
}

#endif
