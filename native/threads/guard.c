/* Other people's signal handlers, made safe for threads that run sandboxes.
 *
 * A handler without SA_ONSTACK would run on the stack of whatever it interrupts: a sandbox's, whose owner
 * could read the host's registers from it afterwards, or make the process die by pointing rsp nowhere. So the
 * flag is added to every handler there is, also the C library's own for its two internal signals (raw system
 * calls, since its wrapper does not show those).
 *
 * Python's C handler only sets a flag that the interpreter looks at between bytecodes, which sandboxed code
 * has none of. It is wrapped: ours calls it and makes the main thread look. */
#include "threads/signals.h"
#include "threads/thread.h"

#include <errno.h>
#include <link.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SIGNALS 65

struct kernel_sigaction {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
};

/* Where the code of Python itself is: in the interpreter or in libpython. */
static uintptr_t python_begin, python_end;

/* Handlers that ours stands before. Written with the GIL held on the main thread, read by the wrapper. */
static void (*_Atomic wrapped[SIGNALS])(int);

static void on_python_signal(int signal, siginfo_t *info, void *context) {
    (void)info;
    int error = errno;
    void (*handler)(int) = atomic_load(&wrapped[signal]);
    if (handler != NULL) {
        handler(signal);
    }
    /* Unless it interrupted sandbox code right here, the main thread is told by the watchdog, or looks by itself at the end
     * of its host call. */
    atomic_store(&tmebox_poll_requested, true);
    tmebox_rouse_watchdog();
    tmebox_signal_actions->redirect_to_poll(context);
    errno = error;
}

static bool get_action(int signal, struct kernel_sigaction *action) {
    return syscall(SYS_rt_sigaction, signal, NULL, action, 8) == 0;
}

static bool set_action(int signal, const struct kernel_sigaction *action) {
    return syscall(SYS_rt_sigaction, signal, action, NULL, 8) == 0;
}

static bool is_wrapper(const struct kernel_sigaction *action) {
    return (uintptr_t)action->handler == (uintptr_t)on_python_signal;
}

static int find_python(struct dl_phdr_info *object, size_t size, void *unused) {
    (void)size, (void)unused;
    uintptr_t inside = (uintptr_t)PyErr_CheckSignals;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        uintptr_t begin = object->dlpi_addr + segment->p_vaddr, end = begin + segment->p_memsz;
        if (segment->p_type == PT_LOAD && inside >= begin && inside < end) {
            python_begin = begin;
            python_end = end;
            return 1;
        }
    }
    return 0;
}

void tmebox_init_guard(void) {
    dl_iterate_phdr(find_python, NULL);
}

/* Python's handler is a static function beside its public ones. */
static bool is_python(int signal, const struct kernel_sigaction *action) {
    static const int excluded[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT};
    for (size_t i = 0; i < sizeof excluded / sizeof *excluded; i++) {
        if (signal == excluded[i]) {
            return false;
        }
    }
    uintptr_t handler = (uintptr_t)action->handler;
    return !(action->flags & SA_SIGINFO) && handler >= python_begin && handler < python_end;
}

/* `may_wrap`: Python is not changing its handlers at this moment. */
bool tmebox_guard_foreign_handlers(bool may_wrap) {
    bool unwrapped = false;
    for (int signal = 1; signal < SIGNALS; signal++) {
        struct kernel_sigaction action;
        if (!get_action(signal, &action) || action.handler == SIG_DFL || action.handler == SIG_IGN) {
            continue;
        }
        if (!is_wrapper(&action) && is_python(signal, &action)) {
            unwrapped = true;
            if (may_wrap) {
                atomic_store(&wrapped[signal], action.handler);
                action.handler = (void (*)(int))(uintptr_t)on_python_signal;
                action.flags |= SA_SIGINFO | SA_ONSTACK;
                set_action(signal, &action);
                continue;
            }
        }
        if (!(action.flags & SA_ONSTACK)) {
            action.flags |= SA_ONSTACK;
            set_action(signal, &action);
        }
    }
    return unwrapped && !may_wrap;
}

void tmebox_unwrap_python_handlers(void) {
    for (int signal = 1; signal < SIGNALS; signal++) {
        struct kernel_sigaction action;
        if (get_action(signal, &action) && is_wrapper(&action)) {
            action.handler = atomic_load(&wrapped[signal]);
            action.flags &= ~(unsigned long)SA_SIGINFO;
            set_action(signal, &action);
        }
    }
}
