/* One `thread` per host thread that ever called a sandbox, and the watchdog, which watches them all.
 *
 * What a thread runs in a sandbox, and in which one, is only pointed to from here: it is known in enter/. */
#ifndef TMEBOX_THREAD_H
#define TMEBOX_THREAD_H

#include "threads/signals.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

struct activation;
struct instance;

#define TMEBOX_FRAMES_KEPT 64

/* Of the last walks over a stack: return addresses, by how many frames were walked before, and the depth there. */
struct walked {
    uint64_t edition; /* of the texts (enter/returns.c) */
    struct {
        uint64_t address;
        int64_t depth;
    } frames[TMEBOX_FRAMES_KEPT];
};

/* What the watchdog needs to know of where a thread is. */
#define IN_HOST 1   /* in a host call: not to be signalled */
#define TURN_ENDS 2 /* in a sandbox with threads or timers, to be interrupted where a turn has lasted for a slice */
#define TURN_STATE 0xffULL /* the rest is since when turns end: ns of CLOCK_MONOTONIC, or 0 */

/* On the heap, in the registry until the thread ends. The first field is read by assembly.
 *
 * `current` is set only while sandbox code runs: in a host call it is NULL. So it is never followed after
 * the stack it points into was left, whatever order calls end in (greenlets swap stacks). */
struct thread {
    struct activation *current;

    /* Plain stores by the thread, read by the watchdog: atomics to the language, ordinary movs to the CPU. */
    _Atomic uint64_t sequence;
    _Atomic uint64_t timeout_ns;
    _Atomic uint64_t deadline_ns;
    _Atomic uint64_t where;   /* IN_HOST, or TURN_ENDS with since when, or 0 */
    _Atomic uint64_t calls;   /* sequence numbers handed out */
    _Atomic uint64_t held;    /* in sandbox code with the GIL: different each time; else 0 */

    /* Written by the watchdog. */
    _Atomic uint64_t expired; /* the sequence number whose time is over */
    _Atomic uint64_t release; /* the `held` that has lasted long enough */
    _Atomic uint64_t over;    /* one more than the `turns` that has */
    uint64_t seen_turn;       /* one more than `turns` */
    uint64_t turn_seen_ns;
    _Atomic uint64_t seen_sequence;
    _Atomic uint64_t seen_ns;
    _Atomic bool nudged; /* sent NUDGE_SIGNAL, for want of room for the interrupt; its handler clears it */
    uint64_t nudged_ns;  /* on the watchdog's clock */
    uint64_t seen_calls;
    uint64_t seen_held;

    uint64_t looked_ns;             /* on the watchdog's clock: when it last saw its own signal mask */
    uint64_t holds;             /* values of `held` used up */
    _Atomic uint64_t turns;     /* turns of sandboxes' threads that began here; read by the watchdog */
    uint32_t depth;             /* activations on this thread, of any instance */
    uint32_t polls;             /* of them: interrupted, and going on later where they were */
    uint64_t outermost;         /* sequence number of the last one that began with none around it */
    uint64_t quiet;             /* counts host calls made while none was interrupted */
    struct instance *suspended; /* whose host call this thread is in; for comparing only */
    int tid;
    bool main;
    uint64_t gs_base;   /* only kept without FSGSBASE */
    void *signal_stack; /* alternate stack that we mapped, or NULL */
    size_t signal_stack_size;
    uintptr_t host_stack_low;   /* the thread's own stack; both 0 where unknown */
    uintptr_t host_stack_short; /* below here, calls no longer nest */
    enum pipes pipes;           /* PIPES_LOUD whenever anything of the host's runs */
    _Atomic bool walks; /* over its stack, without the GIL */
    struct walked walked;
    struct thread *next;
};

extern __thread struct thread *tmebox_thread __attribute__((tls_model("initial-exec")));
extern pthread_mutex_t tmebox_registry_lock;
extern struct thread *tmebox_registry;
extern bool tmebox_has_fsgsbase;

/* Registers the calling thread: alternate stack, signal mask, watchdog record. To be asked once the handlers are
 * installed, which also chooses the signal to unblock. NULL with an exception set. */
struct thread *tmebox_register_thread(void);
/* The calling thread's signals that end sandboxes are not blocked, whoever did it, and have a stack. */
void tmebox_open_signals(struct thread *thread);
/* tmebox_block_broken_pipe(), once for as long as the calling thread is in a sandbox. False: the kernel says no. To be
 * ended, unless `pipes` is PIPES_LOUD, before anything of the host's runs on this thread. */
bool tmebox_quiet_pipes(struct thread *thread);
void tmebox_loud_pipes(struct thread *thread);
/* Makes sure that the calling thread has an alternate stack that will do. -1 with errno set. */
int tmebox_give_signal_stack(struct thread *thread);
int tmebox_init_threads(void);

static inline uint64_t tmebox_monotonic_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

static inline uint64_t tmebox_gs_base(void) {
    uint64_t base;
    __asm__ volatile("rdgsbase %0" : "=r"(base));
    return base;
}

void tmebox_set_gs_base_by_syscall(struct thread *thread, uint64_t base);

/* Host code never uses gs, so it may stay what the last sandbox had. */
static inline void tmebox_set_gs_base(struct thread *thread, uint64_t base) {
    if (!tmebox_has_fsgsbase) {
        tmebox_set_gs_base_by_syscall(thread, base);
    } else if (tmebox_gs_base() != base) {
        __asm__ volatile("wrgsbase %0" : : "r"(base));
    }
}

/* -- the watchdog: its state and clock are thread.c's, which stamps records with the time and forks ---- */
extern _Atomic int tmebox_watchdog_state;
#define WATCHDOG_AWAKE 0
#define WATCHDOG_DOZING 1 /* knows all calls that run: only a new one must wake it */
#define WATCHDOG_RESTING 2 /* the same, and for long: who goes on must wake it, too */
#define WATCHDOG_ASLEEP 3
#define WATCHDOG_ABSENT 4
#define WATCHDOG_TICK_NS 5000000ULL               /* the longest; 1 ms while limited calls run */
extern _Atomic uint64_t tmebox_watchdog_clock_ns; /* as of the last tick */

/* How long a turn of a sandbox's thread may last. */
extern _Atomic uint64_t tmebox_slice_ns;

/* Wakes it up if it is there and not awake, which is what is returned. For signal handlers, too. */
bool tmebox_rouse_watchdog(void);

/* watchdog.c. Starts it or wakes it up. -1: it cannot be started. */
int tmebox_wake_watchdog(void);

/* For a call that begins while it is not awake. is_watched: there is something of the call to watch. */
void tmebox_watchdog_is_away(struct thread *thread, bool is_watched);

#endif
