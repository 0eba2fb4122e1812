/* System calls that the core answers by itself: moving bytes between a sandbox's memory and descriptors, and what
 * servers do for each request: accepting, and opening files to read beneath what Python granted. All else that is
 * opened or waited for is Python's business. */
#ifndef TMEBOX_DATAPATH_H
#define TMEBOX_DATAPATH_H

#include "enter/guestmemory.h"

#include <sys/stat.h>
#include <time.h>

#define GUEST_PATH 256 /* bytes of a path that is known; longer ones are Python's */

/* A file that stays open for who opens its path again. */
struct known_file {
    int host; /* -1: nothing is here */
    uint32_t users; /* rows that refer to it */
    uint32_t mount;
    struct stat status; /* when it was opened */
    char path[GUEST_PATH]; /* as the guest named it */
};

/* The same numbers are in runtime/system/datapath.py. */
#define GUEST_READS 1
#define GUEST_WRITES 2
#define GUEST_SOCKET 4  /* moved with recv() and send() */
#define GUEST_FILE 8    /* a regular file: it never waits, and is written up to `limit` */
#define GUEST_EPOLL 16
#define GUEST_APPENDS 32
#define GUEST_WAITS 64 /* the guest wants to wait: what cannot be done now is for Python, which waits in slices */
#define GUEST_LISTENS 128    /* a listening socket */
#define GUEST_CONNECTION 256 /* a TCP connection that was accepted */
#define GUEST_NEW 512        /* the core opened it: it has no description in Python yet */
#define GUEST_CLOEXEC 1024   /* of what is new: the guest asked for it */
#define GUEST_PLACED 2048    /* the guest may move and choose the position. Not in files that are a stream of the host's */

#define GUEST_DESCRIPTORS 1024 /* at most */
#define GUEST_CALLS 512 /* numbers of system calls that are counted */
#define TRANSFER_MAX (16 << 20) /* bytes that one call moves; as in runtime/system/calls.py */

/* The second and third argument of a call. */
struct guest_buffer {
    int64_t at, size;
};

/* What one of a guest's descriptors is on the host. */
struct guest_descriptor {
    PyObject *owner; /* keeps `host` open; NULL where `file` does, and for new connections */
    struct known_file *file;
    int host;      /* -1: for Python to answer */
    uint32_t flags; /* 0: nothing has this number */
    uint32_t mount; /* of a file: the device number that the guest sees */
    uint32_t status; /* of a new file: open()'s flags */
    uint64_t limit; /* the size that a file may grow to */
    uint64_t begun; /* of a write that waits: bytes that are written. Until it is done, writes are Python's */
    struct guest_buffer begun_from; /* by which it is known again; others may come before */
    int64_t position; /* of a new file: where the guest reads next */
};
#define GUEST_HIDDEN (1u << 31) /* the number is in use, and Python answers */

/* A granted directory beneath which the core may open files to read. `path` ends without a slash. */
struct guest_grant {
    char *path;
    uint32_t length;
    uint32_t mount;
    int host;
    bool plain; /* nothing in it has rights or names of its own */
};

struct known_files;

/* A Python object. It only changes by the thread that runs the sandbox, or while nobody does. */
struct guest_descriptors {
    PyObject_HEAD
    struct guest_descriptor *rows;
    uint32_t count;
    uint32_t limit; /* numbers that the guest may use */
    uint32_t news;  /* rows that are GUEST_NEW */
    bool host_clock; /* the guest's clocks are the host's */
    uint8_t idle;    /* so many calls of epoll_wait() to come expect that nothing is there at first */
    uint64_t answered; /* epoll_wait calls that found something */
    uint64_t *counts;  /* of GUEST_CALLS numbers, how often the core has answered; NULL: nobody counts */
    struct guest_grant *grants; /* the longest path first */
    uint32_t grant_count;
    struct known_files *files; /* NULL until a file is opened */
    const struct guest_descriptor *fresh; /* opened by the last call of all, just now: its status is known */
    /* A row of a file, of which it is known how many bytes more it may get at its own position. NULL: of none. */
    const struct guest_descriptor *measured;
    uint64_t room;
    struct guest_buffer asked; /* of the last call that was Python's */
    uint64_t refused; /* the number of the direct call that was just not answered, plus one: the next is Python's */
};

/* Files and connections that guests of this process have open, of those that count. */
extern _Atomic int64_t tmebox_open_descriptors;
/* How many of them there may be, by the process's limit of now. */
int64_t tmebox_look_at_limit(void);

extern PyTypeObject tmebox_guest_descriptors_type;

/* Whether a guest is told the time of this clock as it is. */
#define GUEST_CLOCKS                                                                                          \
    (1u << CLOCK_REALTIME | 1u << CLOCK_MONOTONIC | 1u << CLOCK_MONOTONIC_RAW | 1u << CLOCK_REALTIME_COARSE | \
     1u << CLOCK_MONOTONIC_COARSE | 1u << CLOCK_BOOTTIME)
#define GUEST_IS_TOLD(descriptors, clock) ((descriptors)->host_clock && (clock) < 32 && GUEST_CLOCKS >> (clock) & 1)

/* The time of such a clock; false for all others. */
bool tmebox_guest_time(const struct guest_descriptors *descriptors, uint64_t clock, struct timespec *now);

/* One call, and what the files of the data path share. Each function answers true with `*result`, or false for
 * Python to be asked. */
struct guest_call {
    const struct instance *instance;
    struct guest_descriptors *all;
    int64_t arguments[6];
};

/* The row of a number, if it has all of these flags. */
static inline struct guest_descriptor *tmebox_guest_find(const struct guest_call *call, int64_t number, uint32_t flags) {
    if ((uint64_t)number >= call->all->count) {
        return NULL;
    }
    struct guest_descriptor *row = &call->all->rows[number];
    return row->host >= 0 && (row->flags & flags) == flags ? row : NULL;
}

/* The lowest number that is free, with a row; NULL if there is none, or no room among the process's descriptors. */
struct guest_descriptor *tmebox_guest_new_row(struct guest_descriptors *all, int64_t *number);

/* Ends what a row is, closing what only the core has. The caller drops `owner`. */
void tmebox_guest_release(struct guest_descriptors *all, struct guest_descriptor *row);

#define SOON_MS 2 /* what is waited for without Python: this thread may have the GIL */

/* moving.c; moving.h has the rest */
bool tmebox_guest_seek(const struct guest_call *call, int64_t *result);

/* accepting.c */
bool tmebox_guest_accept(const struct guest_call *call, bool with_flags, int64_t *result);
bool tmebox_guest_epoll_control(const struct guest_call *call, int64_t *result);
bool tmebox_guest_set_option(const struct guest_call *call, int64_t *result);
bool tmebox_guest_unread(const struct guest_call *call, int64_t *result);

/* clocks.c: the kernel's own clock_gettime(), which needs no system call. gates.S calls it. */
extern int (*tmebox_kernels_clock)(clockid_t clock, struct timespec *now);
void tmebox_find_clock(void);

/* opening.c */
bool tmebox_guest_open(const struct guest_call *call, bool at, int64_t *result);
bool tmebox_guest_file_status(const struct guest_call *call, int64_t *result);
bool tmebox_guest_close(const struct guest_call *call, int64_t *result);
void tmebox_guest_forget_files(struct guest_descriptors *all);

#endif
