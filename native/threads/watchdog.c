/* One thread that watches the calls of all others: time limits, and signals for the main thread.
 *
 * A call publishes its sequence number and limit with plain stores. The watchdog notices at a tick that a
 * call is there, and measures its age from then, so limits are exact to about a tick and calls cost no clock.
 * Ticks are for the beginnings of calls. When nothing has run for a while it sleeps, and when all that runs has run
 * for two ticks it dozes: the next call that it must watch wakes it. What has run for long without a limit, and alone in
 * its process, lets it rest: a server is hardly ever kept from its processor then.
 *
 * Limits are measured on the watchdog's own clock, which stands still while it sleeps and while the whole
 * process is stopped: a debugger, Ctrl-Z or a paused virtual machine makes no call late. */
#include "newer.h"
#include "threads/signals.h"
#include "threads/thread.h"
#include "windows/window.h"

#include <errno.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MS 1000000ULL
#define TICK_LIMITS_NS (1 * MS)          /* while calls with a time limit run */
#define TICK_SIGNALS_NS WATCHDOG_TICK_NS /* while only the main thread's calls must stay interruptible */
#define DOZE_NS (10 * MS)                /* while calls run on that it has seen twice */
#define SCAN_NS (20 * MS)                /* between looks at other people's signal handlers, and at merging */
#define REST_NS (100 * MS)               /* while such calls have no end that must be kept, and nobody else is there */
#define DOZES 3                          /* one after the other before it rests */
#define IDLE_NS (100 * MS)               /* without any call until it sleeps */
#define BLIND_SLEEP_NS (2 * MS)          /* a sleeper's longest doze on kernels without membarrier */
#define NUDGE_LOST_NS (1000 * MS)        /* a nudge that was not noticed by then never will be */
#define LONGEST_STEP_NS (50 * MS) /* of our clock in one tick: more is a stop, not time that calls had */

static bool has_membarrier;

static struct timespec duration(uint64_t ns) {
    return (struct timespec){(time_t)(ns / 1000000000ULL), (long)(ns % 1000000000ULL)};
}

/* What one pass over the threads found. */
struct sight {
    bool inside;  /* some call is running */
    bool moving;  /* some call began since the last pass */
    bool limited; /* … with a time limit, or the last one had one */
    bool main;    /* the main thread is inside sandbox code now */
    bool fresh;   /* there is something to look at again soon */
    bool turns;   /* some turn ends by time */
    bool timers;  /* or will */
    uint64_t monotonic_ns;
    uint64_t next_ns;
};

/* A user's queue of real-time signals can be full. An ordinary signal needs no room in it. One is under way at a
 * time: of two, one could come while the thread is about to tell that the other is ours, and would be taken for
 * somebody else's. One that does not arrive (somebody ignored or took it) is sent again. */
static void fire(struct thread *thread, uint64_t now) {
    int process = getpid();
    if (syscall(SYS_tgkill, process, thread->tid, tmebox_interrupt_signal) < 0 && errno == EAGAIN &&
        tmebox_is_handled(NUDGE_SIGNAL) &&
        (!atomic_exchange(&thread->nudged, true) || now - thread->nudged_ns >= NUDGE_LOST_NS)) {
        thread->nudged_ns = now;
        syscall(SYS_tgkill, process, thread->tid, NUDGE_SIGNAL);
    }
}

/* Whether the turn that is on has lasted for a slice, as far as looks can tell. */
static bool is_over(struct thread *thread, uint64_t now) {
    uint64_t turn = atomic_load_explicit(&thread->turns, memory_order_acquire) + 1;
    if (thread->seen_turn != turn) {
        thread->seen_turn = turn;
        thread->turn_seen_ns = now;
    } else if (now - thread->turn_seen_ns >= atomic_load_explicit(&tmebox_slice_ns, memory_order_relaxed)) {
        thread->turn_seen_ns = now; /* another signal only after another slice: they would pile up where nobody runs */
        atomic_store(&thread->over, turn);
        return true;
    }
    return false;
}

static void look_at(struct thread *thread, uint64_t now, struct sight *sight) {
    uint64_t calls = atomic_load_explicit(&thread->calls, memory_order_relaxed);
    uint64_t sequence = atomic_load_explicit(&thread->sequence, memory_order_acquire);
    uint64_t timeout = atomic_load_explicit(&thread->timeout_ns, memory_order_acquire);
    uint64_t deadline = atomic_load_explicit(&thread->deadline_ns, memory_order_acquire);
    uint64_t held = atomic_load_explicit(&thread->held, memory_order_acquire);
    bool overdue = held != 0 && held == thread->seen_held; /* the GIL, since the last tick */
    thread->seen_held = held;
    uint64_t where = atomic_load_explicit(&thread->where, memory_order_acquire);
    bool in_host = where == IN_HOST;
    bool moved = calls != thread->seen_calls;
    thread->seen_calls = calls;
    sight->moving |= moved;
    sight->inside |= sequence != 0;
    sight->limited |= (moved || sequence != 0) && (timeout | deadline) != 0;
    sight->fresh |= moved || held != 0;
    if (sequence == 0 || atomic_load_explicit(&thread->sequence, memory_order_acquire) != sequence) {
        return;
    }
    sight->main |= thread->main && !in_host;
    if (timeout != 0) {
        if (atomic_load(&thread->seen_sequence) != sequence) {
            sight->fresh = true;
            atomic_store(&thread->seen_ns, now);
            atomic_store(&thread->seen_sequence, sequence);
        }
        uint64_t own = atomic_load(&thread->seen_ns) + timeout;
        deadline = deadline == 0 || own < deadline ? own : deadline;
    }
    bool late = deadline != 0 && now >= deadline;
    if (late) {
        atomic_store(&thread->expired, sequence); /* a host call's end looks at this */
    } else if (deadline != 0 && deadline < sight->next_ns) {
        sight->next_ns = deadline;
    }
    if (overdue) {
        atomic_store(&thread->release, held);
    }
    bool ends = (where & TURN_STATE) == TURN_ENDS, turns = ends && sight->monotonic_ns >= (where & ~TURN_STATE);
    bool over = turns && is_over(thread, now);
    sight->turns |= turns;
    sight->timers |= ends;
    if (late || overdue || over || (thread->main && atomic_load(&tmebox_poll_requested))) {
        sight->fresh = true;
        if (!in_host) {
            fire(thread, now);
        }
    }
}

static struct sight look(uint64_t now) {
    struct sight sight = {.next_ns = UINT64_MAX, .monotonic_ns = tmebox_monotonic_ns()};
    pthread_mutex_lock(&tmebox_registry_lock);
    if (tmebox_handlers != HANDLERS_ABSENT) {
        for (struct thread *thread = tmebox_registry; thread != NULL; thread = thread->next) {
            look_at(thread, now, &sight);
        }
    }
    pthread_mutex_unlock(&tmebox_registry_lock);
    return sight;
}

/* Whether the time is over. */
static bool wait_in(int state, const struct timespec *longest) {
    return syscall(SYS_futex, &tmebox_watchdog_state, FUTEX_WAIT_PRIVATE, state, longest, NULL, 0) < 0 && errno == ETIMEDOUT;
}

/* Sleep until a call wakes us. The waker stores its sequence number and then looks whether we sleep; we say
 * that we sleep and then look for calls. The barrier makes those two orders real on every CPU that runs us.
 */
static void sleep_until_woken(void) {
    struct timespec blindly = duration(BLIND_SLEEP_NS);
    atomic_store(&tmebox_watchdog_state, WATCHDOG_ASLEEP);
    if (has_membarrier) {
        syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
    }
    while (atomic_load(&tmebox_watchdog_state) == WATCHDOG_ASLEEP) {
        struct sight sight = look(tmebox_watchdog_clock_ns);
        if (sight.inside || sight.moving) {
            break;
        }
        wait_in(WATCHDOG_ASLEEP, has_membarrier ? NULL : &blindly);
    }
    atomic_store(&tmebox_watchdog_state, WATCHDOG_AWAKE);
}

/* Without the barrier, which costs more than a tick: a call that slips in is seen after this doze. */
static void doze(uint64_t longest_ns) {
    struct timespec longest = duration(longest_ns);
    atomic_store(&tmebox_watchdog_state, WATCHDOG_DOZING);
    struct sight sight = look(tmebox_watchdog_clock_ns);
    if (!sight.fresh && !sight.turns) {
        wait_in(WATCHDOG_DOZING, &longest);
    }
    atomic_store(&tmebox_watchdog_state, WATCHDOG_AWAKE);
}

/* Other people's handlers come and go. What needs Python's handlers to stand still is left to the main thread's next poll,
 * what needs the GIL to the next call. */
static void scan(bool main_inside) {
    if (tmebox_handlers == HANDLERS_CURRENT && !tmebox_handlers_current()) {
        int current = HANDLERS_CURRENT;
        atomic_compare_exchange_strong(&tmebox_handlers, &current, HANDLERS_STALE);
    }
    if (tmebox_handlers != HANDLERS_ABSENT && tmebox_guard_foreign_handlers(false) && main_inside) {
        atomic_store(&tmebox_poll_requested, true); /* it was replaced: a signal may have been missed */
    }
}

/* Nobody but who calls sandboxes could set a handler: else handlers are to be looked at often. A directory of threads has
 * a link for each, and two of its own. */
static bool is_alone(void) {
    struct stat threads;
    return stat("/proc/self/task", &threads) == 0 && (int)threads.st_nlink <= 2 + 1 + atomic_load(&tmebox_own_threads);
}

static bool may_rest(const struct sight *sight) {
    return sight->inside && !sight->fresh && !sight->timers && sight->next_ns == UINT64_MAX && is_alone();
}

/* The clock stands still meanwhile, as in sleep. New calls wake us, signals for Python do (guard.c), and who goes on after
 * a call of the host's. The barrier makes sure of that, as in sleep. */
static void rest(void) {
    struct timespec longest = duration(REST_NS);
    atomic_store(&tmebox_watchdog_state, WATCHDOG_RESTING);
    syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
    while (atomic_load(&tmebox_watchdog_state) == WATCHDOG_RESTING) {
        struct sight sight = look(tmebox_watchdog_clock_ns);
        if (!may_rest(&sight)) {
            break;
        }
        if (wait_in(WATCHDOG_RESTING, &longest)) {
            tmebox_look_for_merging();
            scan(sight.main);
        }
    }
    atomic_store(&tmebox_watchdog_state, WATCHDOG_AWAKE);
}

/* This thread needs no descriptors. While it shares the process's table, the kernel counts each use of a descriptor with
 * locked instructions, which a program with one thread is spared: 45 ns for each system call on a Zen 4 class CPU. */
static void leave_descriptors(void) {
    syscall(SYS_close_range, 0U, ~0U, CLOSE_RANGE_UNSHARE);
}

static void *watch(void *unused) {
    (void)unused;
    leave_descriptors();
    atomic_fetch_add(&tmebox_own_threads, 1);
    int dozes = 0;
    uint64_t now = tmebox_watchdog_clock_ns, ticked_ns = tmebox_monotonic_ns();
    uint64_t active_ns = now, scan_ns = now;
    for (;;) {
        uint64_t elapsed = tmebox_monotonic_ns() - ticked_ns;
        ticked_ns += elapsed;
        now += elapsed < LONGEST_STEP_NS ? elapsed : LONGEST_STEP_NS;
        atomic_store_explicit(&tmebox_watchdog_clock_ns, now, memory_order_release);
        struct sight sight = look(now);
        if (now >= scan_ns) {
            scan_ns = now + SCAN_NS;
            tmebox_look_for_merging(); /* while it sleeps, who begins a call does */
            if (sight.inside) {
                scan(sight.main);
            }
        }
        if (sight.inside || sight.moving) {
            active_ns = now;
        } else if (now - active_ns >= IDLE_NS) {
            sleep_until_woken();
            active_ns = now;
            ticked_ns = tmebox_monotonic_ns();
            continue;
        }
        dozes = sight.inside && !sight.fresh && !sight.turns ? dozes + 1 : 0;
        if (dozes > DOZES && has_membarrier) {
            dozes = 1; /* to be asked again after as many: it is a call of the kernel's */
            if (may_rest(&sight)) {
                rest();
                active_ns = now;
                ticked_ns = tmebox_monotonic_ns();
                continue;
            }
        }
        if (dozes != 0) {
            uint64_t left = sight.next_ns - now;
            doze(left < DOZE_NS ? left : DOZE_NS);
            continue;
        }
        uint64_t tick = sight.limited ? TICK_LIMITS_NS : TICK_SIGNALS_NS;
        uint64_t slice = atomic_load_explicit(&tmebox_slice_ns, memory_order_relaxed);
        if (sight.turns && slice < tick) {
            tick = slice;
        }
        if (sight.next_ns - now < tick) {
            tick = sight.next_ns - now;
        }
        struct timespec pause = duration(tick);
        clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
    }
    return NULL;
}

static int start(void) {
    has_membarrier = syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0) {
        return -1;
    }
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, 1024 * 1024);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* inherited: other people's handlers never run on it */
    pthread_t thread;
    int error = pthread_create(&thread, &attributes, watch, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return error == 0 ? 0 : -1;
}

/* Starts it or wakes it up. -1: it cannot be started. */
int tmebox_wake_watchdog(void) {
    int state = WATCHDOG_ABSENT;
    if (!tmebox_rouse_watchdog() &&
        atomic_compare_exchange_strong(&tmebox_watchdog_state, &state, WATCHDOG_AWAKE) && start() < 0) {
        atomic_store(&tmebox_watchdog_state, WATCHDOG_ABSENT);
        return -1;
    }
    return 0;
}

/* While it does not look whether the host has begun to have pages merged, who enters a sandbox does: at once if that wakes
 * it, else by a clock that is nearly free. */
void tmebox_watchdog_is_away(struct thread *thread, bool is_watched) {
    static _Atomic uint64_t looked_ns;
    if (is_watched) {
        tmebox_look_for_merging();
        tmebox_wake_watchdog();
        tmebox_open_signals(thread); /* its clock stood still */
        return;
    }
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    uint64_t now_ns = (uint64_t)now.tv_sec * 1000 * MS + (uint64_t)now.tv_nsec;
    if (now_ns - atomic_load_explicit(&looked_ns, memory_order_relaxed) >= SCAN_NS) {
        atomic_store_explicit(&looked_ns, now_ns, memory_order_relaxed);
        tmebox_look_for_merging();
    }
}
