/* What the calls that move bytes share: moving.c does them piece by piece, planning.c in one call of the kernel's. */
#ifndef TMEBOX_MOVING_H
#define TMEBOX_MOVING_H

#include "enter/datapath.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define VECTORS 16
#define LITTLE 1024 /* bytes that go by way of a buffer */
#define LITTLE_OF_A_FILE 4096 /* the same of a file that is sent */
#define EVENTS 64

/* Memory of the sandbox's, one stretch after the other. */
struct stretches {
    struct part {
        uint64_t offset, size;
    } parts[VECTORS];
    uint32_t count, index;
    uint64_t within; /* of parts[index] */
    uint64_t size;
};

/* A call that reads or writes, once it was checked. */
struct guest_move {
    struct guest_descriptor *row;
    int64_t position; /* of a file; < 0: its own */
    bool writes;
    bool advances; /* the row's own position */
    struct stretches moved;
};

/* One call of the kernel's that does what the guest wants, or most of it. `finish` makes the guest's result of the
 * kernel's, and returns whether it is answered. */
struct guest_plan {
    long number, arguments[6];
    bool (*finish)(const struct guest_call *call, struct guest_plan *plan, int64_t value, int64_t *result);
    struct guest_move move;
    bool bounced;     /* by way of `little` */
    uint64_t told_at; /* where the guest wants to be told events, or a position */
    int64_t position; /* of a file that is sent, */
    int64_t *where;   /* which the kernel, or who finishes, moves on; NULL: the open file's own */
    struct msghdr message;
    union {
        struct iovec vectors[VECTORS];
        struct epoll_event events[EVENTS];
        unsigned char little[LITTLE_OF_A_FILE];
    };
};

/* OTHERWISE: it is no call for which there are plans. */
enum plan_state { FOR_PYTHON, FOR_KERNEL, OTHERWISE };

/* planning.c */
enum plan_state tmebox_guest_plan_move(const struct guest_call *call, uint64_t number, struct guest_plan *plan);
enum plan_state tmebox_guest_plan_events(const struct guest_call *call, struct guest_plan *plan);
enum plan_state tmebox_guest_plan_send_file(const struct guest_call *call, struct guest_plan *plan);

/* moving.c */
/* False: for Python. */
bool tmebox_guest_prepare_move(const struct guest_call *call, uint64_t number, struct guest_move *move);
/* `size` bytes that follow what was moved so far, into or out of `chunk`. False: an address is none. */
bool tmebox_guest_copy_next(const struct instance *instance, struct stretches *moved, unsigned char *chunk, uint64_t size,
                            bool in);
/* What is left of a call of which `already` bytes are done. */
bool tmebox_guest_move_rest(const struct guest_call *call, struct guest_move *move, uint64_t already, int64_t *result);
/* Keeps the books about a call that is over. */
void tmebox_guest_settle(const struct guest_call *call, const struct guest_move *move, bool answered, int64_t result);

#endif
