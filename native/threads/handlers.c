/* Our signal handlers: installed over those that were there, which get what is not for us, and put back. */
#include "threads/signals.h"
#include "threads/thread.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

/* Whose handler ours replaced; and, where someone installed theirs over ours and we ours over that, the one
 * that was there at first. Never changed once published: another thread may be handing a signal on. */
struct layer {
    struct sigaction previous;
    struct sigaction first;
    bool stacked;
    _Atomic bool spent; /* `previous` wanted to be called once only */
};

static struct layer *_Atomic layers[FATAL_COUNT];
static struct sigaction interrupt_previous;

static __thread unsigned chaining
    __attribute__((tls_model("initial-exec"))); /* bit i: in layers[i]->previous */

/* -- handing on ----------------------------------------------------------------------------------- */

/* What the kernel would have done without our handler. */
static void default_action(int signal, siginfo_t *info, bool ignored) {
    bool sent = info->si_code <= 0; /* by kill() and the like: returning does not make it happen again */
    if (sent && ignored) {
        return;
    }
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigaction(signal, &action, NULL);
    if (sent) { /* blocked until our handler returns */
        syscall(SYS_rt_tgsigqueueinfo, getpid(), (int)syscall(SYS_gettid), signal, info);
    }
}

/* With the signals blocked that would be, were it called by the kernel: we have all of them blocked. */
static void call_handler(const struct sigaction *action, int signal, siginfo_t *info, void *context) {
    sigset_t mask = ((ucontext_t *)context)->uc_sigmask;
    sigorset(&mask, &mask, &action->sa_mask);
    if (action->sa_flags & SA_NODEFER) { /* faulthandler raises the signal again from its handler */
        sigdelset(&mask, signal);
    } else {
        sigaddset(&mask, signal);
    }
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    if (action->sa_flags & SA_SIGINFO) {
        action->sa_sigaction(signal, info, context);
    } else {
        action->sa_handler(signal);
    }
}

/* A handler that was installed over ours, and ours over it, may put ours back and raise the signal again:
 * then it is skipped, so that the two do not call each other for ever. */
static void chain(size_t index, siginfo_t *info, void *context) {
    struct layer *layer = atomic_load(&layers[index]);
    unsigned bit = 1U << index;
    struct sigaction action = chaining & bit ? layer->first : layer->previous;
    if ((action.sa_flags & (int)SA_RESETHAND) && atomic_exchange(&layer->spent, true)) {
        action = (struct sigaction){.sa_handler = SIG_DFL};
    }
    bool special =
        !(action.sa_flags & SA_SIGINFO) && (action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN);
    if (special) {
        default_action(tmebox_fatal_signals[index], info, action.sa_handler == SIG_IGN);
        return;
    }
    unsigned before = chaining;
    chaining |= layer->stacked ? bit : 0;
    call_handler(&action, tmebox_fatal_signals[index], info, context);
    chaining = before;
}

void tmebox_hand_on(int signal, siginfo_t *info, void *context) {
    for (size_t i = 0; i < FATAL_COUNT; i++) {
        if (tmebox_fatal_signals[i] == signal) {
            chain(i, info, context);
            break;
        }
    }
}

/* -- installing ----------------------------------------------------------------------------------- */

static bool is_ours(int signal, void (*handler)(int, siginfo_t *, void *), struct sigaction *present) {
    return sigaction(signal, NULL, present) == 0 && (present->sa_flags & SA_SIGINFO) &&
           present->sa_sigaction == handler;
}

bool tmebox_is_handled(int signal) {
    struct sigaction present;
    return is_ours(signal, tmebox_signal_actions->fault, &present);
}

/* Only a filter of system calls does so. -1. */
static int refused(void) {
    PyErr_Format(tmebox_limit_error,
                 "the system refuses the signal handlers that sandboxes need (%s): let rt_sigaction and sigaltstack "
                 "through the filter of system calls",
                 strerror(errno));
    return -1;
}

static int install(int signal, void (*handler)(int, siginfo_t *, void *), int flags) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK | flags};
    sigfillset(&action.sa_mask); /* a handler that touched a window now would find SIGBUS blocked, and die */
    return sigaction(signal, &action, NULL) < 0 ? refused() : 0;
}

/* A real-time signal that nobody uses, from the top: libraries take theirs from the bottom. */
static int install_interrupt(void) {
    struct sigaction present;
    if (tmebox_interrupt_signal != 0 && is_ours(tmebox_interrupt_signal, tmebox_signal_actions->interrupt, &present)) {
        return 0;
    }
    for (int signal = SIGRTMAX - 1; signal >= SIGRTMIN; signal--) {
        if (sigaction(signal, NULL, &present) == 0 && !(present.sa_flags & SA_SIGINFO) &&
            present.sa_handler == SIG_DFL) {
            interrupt_previous = present;
            tmebox_interrupt_signal = signal;
            return install(signal, tmebox_signal_actions->interrupt, SA_RESTART);
        }
    }
    PyErr_SetString(PyExc_RuntimeError,
                    "every real-time signal has a handler already; time limits need a free one");
    return -1;
}

/* Puts ours over `present`, whose turn it is from now on when a signal is not for us. */
static int install_over(size_t index, const struct sigaction *present) {
    const struct layer *old = atomic_load(&layers[index]);
    struct layer *layer = calloc(1, sizeof *layer);
    if (layer == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    layer->previous = *present;
    layer->stacked = tmebox_handlers != HANDLERS_ABSENT;
    if (layer->stacked) {
        layer->first = old->stacked ? old->first : old->previous;
    }
    atomic_store(&layers[index], layer); /* the old one may be in use: it is not freed */
    return install(tmebox_fatal_signals[index], tmebox_signal_actions->fault, 0);
}

int tmebox_install_handlers(void) {
    if (install_interrupt() < 0) {
        return -1;
    }
    for (size_t i = 0; i < FATAL_COUNT; i++) {
        struct sigaction present;
        if (!is_ours(tmebox_fatal_signals[i], tmebox_signal_actions->fault, &present) && install_over(i, &present) < 0) {
            return -1;
        }
    }
    /* Who replaced handlers may have replaced this thread's alternate stack as well: faulthandler does both.
     */
    if (tmebox_thread != NULL && tmebox_give_signal_stack(tmebox_thread) < 0) {
        return refused();
    }
    tmebox_handlers = HANDLERS_CURRENT;
    tmebox_guard_foreign_handlers(getpid() == (int)syscall(SYS_gettid));
    return 0;
}

/* Faults are what new sandboxes rely on first, and who replaces handlers replaces these. */
int tmebox_ensure_handlers(void) {
    struct sigaction present;
    bool current = tmebox_handlers == HANDLERS_CURRENT && is_ours(SIGSEGV, tmebox_signal_actions->fault, &present) &&
                   is_ours(SIGBUS, tmebox_signal_actions->fault, &present);
    return current ? 0 : tmebox_install_handlers();
}

bool tmebox_handlers_current(void) {
    struct sigaction present;
    bool current =
        tmebox_handlers != HANDLERS_ABSENT && is_ours(tmebox_interrupt_signal, tmebox_signal_actions->interrupt, &present);
    for (size_t i = 0; i < FATAL_COUNT; i++) {
        current = current && is_ours(tmebox_fatal_signals[i], tmebox_signal_actions->fault, &present);
    }
    return current;
}

int tmebox_remove_handlers(void) {
    if (tmebox_handlers == HANDLERS_ABSENT) {
        return 0;
    }
    bool inside = false;
    pthread_mutex_lock(&tmebox_registry_lock); /* the watchdog signals only while it holds this */
    for (struct thread *thread = tmebox_registry; thread != NULL; thread = thread->next) {
        inside |= thread->depth != 0;
    }
    struct sigaction present;
    if (!inside) {
        tmebox_handlers = HANDLERS_ABSENT;
        for (size_t i = 0; i < FATAL_COUNT; i++) {
            if (is_ours(tmebox_fatal_signals[i], tmebox_signal_actions->fault, &present)) {
                sigaction(tmebox_fatal_signals[i], &atomic_load(&layers[i])->previous, NULL);
            }
        }
        if (is_ours(tmebox_interrupt_signal, tmebox_signal_actions->interrupt, &present)) {
            /* Ignoring it drops what is still on its way, which by default would end the process. */
            struct sigaction ignore = {.sa_handler = SIG_IGN};
            sigaction(tmebox_interrupt_signal, &ignore, NULL);
            sigaction(tmebox_interrupt_signal, &interrupt_previous, NULL);
        }
        tmebox_unwrap_python_handlers();
    }
    pthread_mutex_unlock(&tmebox_registry_lock);
    if (inside) {
        PyErr_SetString(tmebox_busy_error, "a sandbox is running");
        return -1;
    }
    return 0;
}
