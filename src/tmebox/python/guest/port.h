/* What the files of the port share. */
#ifndef TMEBOX_PORT_H
#define TMEBOX_PORT_H

#include <stdint.h>
#include "py/obj.h"
#include "py/runtime.h"
#include "wire.h"

struct mailbox {
    volatile uint32_t interrupt;
    uint32_t lines;
    uint32_t printed;
    uint32_t fake_clock;
    int64_t instructions_left;
    uint64_t output_left;
    uint64_t clock;
    uint64_t seed;
    uint32_t result;
    uint32_t result_size;
    uint64_t generation;
    uint32_t has_modules;
    uint32_t unseeded;
    char output[WIRE_OUTPUT_SIZE];
    unsigned char transfer[WIRE_TRANSFER_SIZE];
};
_Static_assert(offsetof(struct mailbox, fake_clock) == WIRE_FAKE_CLOCK, "as in wire.py");
_Static_assert(offsetof(struct mailbox, clock) == WIRE_CLOCK, "as in wire.py");
_Static_assert(offsetof(struct mailbox, result) == WIRE_RESULT, "as in wire.py");
_Static_assert(offsetof(struct mailbox, output_left) == WIRE_OUTPUT_LEFT, "as in wire.py");
_Static_assert(offsetof(struct mailbox, unseeded) == WIRE_UNSEEDED, "as in wire.py");
_Static_assert(offsetof(struct mailbox, output) == WIRE_OUTPUT, "as in wire.py");
_Static_assert(offsetof(struct mailbox, transfer) == WIRE_TRANSFER, "as in wire.py");
_Static_assert(sizeof(struct mailbox) == WIRE_MAILBOX_SIZE, "as in wire.py");

/* Of the call that runs. */
extern struct mailbox *tmebox_mailbox;

/* The host's only function. The reply is a value: its offset, times 2^32, and its size. */
uint64_t python_host(unsigned operation);

/* values.c: what crosses. Both raise. */
void tmebox_encode(vstr_t *out, mp_obj_t value);
mp_obj_t tmebox_decode(const unsigned char *data, size_t size);
/* Leave a request or a result for the host. */
void tmebox_post(vstr_t *value);
void tmebox_put_size(vstr_t *out, size_t size);
void tmebox_put_text(vstr_t *out, const char *text, size_t size);
void tmebox_begin(vstr_t *out, int tag, size_t count);

/* hostfunction.c */
mp_obj_t tmebox_host_function(qstr name);
mp_obj_t tmebox_ask(unsigned operation, vstr_t *request);
/* Of an exception that the host made, its number there; else 0. */
mp_int_t tmebox_host_error(mp_obj_t exception);

/* clock.c: new random numbers, of the host's seed. */
void tmebox_seed_anew(void);

/* output.c */
void tmebox_flush(void);

/* arrays/: arrays that cross. An array says whether it is one. */
bool tmebox_is_array(mp_obj_t value);
void tmebox_encode_array(vstr_t *out, mp_obj_t value);
mp_obj_t tmebox_decode_array(unsigned first, unsigned known_by, uint64_t generation, int element, int dimensions,
    const int64_t *lengths_and_strides);
mp_obj_t tmebox_decode_data(int element, int dimensions, const int64_t *lengths, const void *data, size_t size);

#endif
