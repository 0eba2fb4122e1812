/* The signals that end or interrupt sandboxed code: which they are, and whose handlers are installed.
 *
 * What the handlers do with a signal is enter/'s business; it hands them over as functions. */
#ifndef TMEBOX_SIGNALS_H
#define TMEBOX_SIGNALS_H

#include "process.h"

#include <signal.h>

/* -- signals.c: which they are ------------------------------------------------------------------------ */
#define FATAL_COUNT 5
extern const int tmebox_fatal_signals[FATAL_COUNT];

/* The watchdog's: a real-time signal that nobody else uses. 0: not chosen yet. */
extern int tmebox_interrupt_signal;
/* Sent in its place where the queue of real-time signals is full. */
#define NUDGE_SIGNAL SIGILL

enum handlers {
    HANDLERS_ABSENT,
    HANDLERS_STALE, /* somebody replaced some of them */
    HANDLERS_CURRENT,
};

extern _Atomic int tmebox_handlers;
/* The main thread is to look at Python's signals before its sandboxed code goes on. */
extern _Atomic bool tmebox_poll_requested;

/* All of the above signals. */
void tmebox_needed_signals(sigset_t *set);

/* From a handler of ours, which has all signals blocked: until it returns, it may itself fault. What others send comes
 * in as well, but then finds them blocked. */
void tmebox_let_faults_in(void);

/* Whether the calling thread takes SIGPIPE, and who decided that. */
enum pipes {
    PIPES_LOUD,    /* as the host has it */
    PIPES_QUIETED, /* blocked by us */
    PIPES_QUIET,   /* blocked by the host before */
    PIPES_PENDING, /* the same, and one is pending: another would be one with it */
};

/* Until tmebox_unblock_broken_pipe(), writing to what nobody reads raises no SIGPIPE on this thread: it waits, and is taken
 * back then, whether or not the call that raised it says EPIPE. PIPES_LOUD: the kernel says no. */
enum pipes tmebox_block_broken_pipe(void);
void tmebox_unblock_broken_pipe(enum pipes pipes);

/* What is done with a signal. */
struct signal_actions {
    void (*fault)(int signal, siginfo_t *info, void *context);     /* a fatal one came */
    void (*interrupt)(int signal, siginfo_t *info, void *context); /* the watchdog's came */
    /* If the signal interrupted sandbox code of the main thread, or the core at work for it: look at Python's signals
     * before it goes on, on any thread only if this handler has a stack of its own. Whether either is done at once. */
    bool (*redirect_to_poll)(void *context);
};

extern const struct signal_actions *tmebox_signal_actions; /* set before any handler is installed */

/* -- handlers.c: putting ours in place, and taking them away ------------------------------------------ */
int tmebox_install_handlers(void); /* these: -1 with an exception set */
int tmebox_ensure_handlers(void);
int tmebox_remove_handlers(void);
bool tmebox_handlers_current(void);
/* Whether the handler of a fatal signal is ours at this moment. Async-signal-safe. */
bool tmebox_is_handled(int signal);
/* From our handler of a fatal signal that is not for us: does what would have happened without it. */
void tmebox_hand_on(int signal, siginfo_t *info, void *context);

/* -- guard.c: other people's handlers ----------------------------------------------------------------- */
void tmebox_init_guard(void);
/* Returns whether some handler still needs to be wrapped. `may_wrap`: on the main thread with the GIL held. */
bool tmebox_guard_foreign_handlers(bool may_wrap);
void tmebox_unwrap_python_handlers(void);

#endif
