/* Control stacks: see control.c. */
#ifndef TMEBOX_CONTROL_H
#define TMEBOX_CONTROL_H

#include "enter/instance.h"

#include <string.h>

/* A number that no other owner has. */
uint64_t tmebox_control_owner(void);

/* For an instance that nobody runs. False with an exception set. */
bool tmebox_take_control(struct instance *instance);

/* Idempotent. */
void tmebox_give_control(struct instance *instance);

/* What its last owner left there. False if it has another one by now, or there is no such part. */
bool tmebox_read_control(const struct instance *instance, uint64_t offset, void *to, uint64_t size_bytes);

/* Where the offsets of its stack pointer count from. */
static inline uint64_t tmebox_stack_base(const struct instance *instance) {
    return instance->has_control ? instance->control_base : instance->base;
}

/* Where what the program put beside its stack pointer is: in the window. */
static inline uint64_t tmebox_in_window(const struct instance *instance, uint64_t rsp) {
    return rsp - tmebox_stack_base(instance) + instance->base;
}

#endif
