/* System calls that the core answers by itself: moving bytes between a sandbox's memory and descriptors that Python
 * has opened for it. What may be opened, and what has to be waited for, is Python's business. */
#ifndef TMEBOX_DATAPATH_H
#define TMEBOX_DATAPATH_H

#include "enter/instance.h"

/* The same numbers are in runtime/system/datapath.py. */
#define GUEST_READS 1
#define GUEST_WRITES 2
#define GUEST_SOCKET 4  /* moved with recv() and send() */
#define GUEST_FILE 8    /* a regular file: it never waits, and is written up to `limit` */
#define GUEST_EPOLL 16
#define GUEST_APPENDS 32
#define GUEST_WAITS 64 /* the guest wants to wait: what cannot be done now is for Python, which waits in slices */

#define GUEST_DESCRIPTORS 1024 /* at most */

/* What one of a guest's descriptors is on the host. */
struct guest_descriptor {
    PyObject *owner; /* keeps `host` open; NULL: for Python to answer */
    int host;
    uint32_t flags;
    uint64_t limit; /* the size that a file may grow to */
    uint64_t begun; /* of a write that waits: bytes that are written. Until it is done, writes are Python's */
};

/* A Python object. It only changes with the GIL held, by the thread that runs the sandbox, or while nobody does. */
struct guest_descriptors {
    PyObject_HEAD
    struct guest_descriptor *rows;
    uint32_t count;
    bool host_clock; /* the guest's clocks are the host's */
    uint64_t answered; /* epoll_wait calls that found something */
};

extern PyTypeObject tmebox_guest_descriptors_type;

/* Whether the system call was answered, with its result. If not, nothing has changed but `begun`. The arguments are
 * untrusted, and so is where they are. */
bool tmebox_answer_system_call(const struct instance *instance, struct guest_descriptors *descriptors,
                               uint64_t number, uint64_t arguments_at, int64_t *result);

#endif
