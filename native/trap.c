/* Signals in sandboxed code: faults become traps, interrupts become timeouts or a look at Python's signals.
 * Everything else goes to the handler that was there before.
 *
 * Handlers run on the alternate stack, always: a frame on a sandbox's stack would show it host registers. */
#include "window.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

static const int fatal[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
#define FATAL_COUNT (sizeof fatal / sizeof *fatal)

#define TRAP_BREAKPOINT 3 /* x86 exception numbers, as the kernel puts them into REG_TRAPNO */
#define TRAP_PAGE_FAULT 14

#define FLAGS_TF (1 << 8)
#define FLAGS_DF (1 << 10)
#define FLAGS_AC (1 << 18)

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
int tmebox_interrupt_signal;
_Atomic int tmebox_handlers = HANDLERS_ABSENT;

static __thread unsigned chaining
    __attribute__((tls_model("initial-exec"))); /* bit i: in layers[i]->previous */

static const uint8_t register_order[REGISTERS] = {
    REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
    REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
    REG_EFL,
};

static bool in_sandbox_code(uint64_t ip) {
    return ip >= TMEBOX_CODE_BASE && ip < TMEBOX_CODE_END;
}

static int access_of(const greg_t *registers) {
    if (registers[REG_TRAPNO] != TRAP_PAGE_FAULT) {
        return -1;
    }
    return registers[REG_ERR] & 16 ? 2 : registers[REG_ERR] & 2 ? 1 : 0;
}

/* What sandbox code this thread was running when the signal came, if any. */
static struct activation *interrupted(const greg_t *registers) {
    struct thread *thread = tmebox_thread;
    return thread != NULL && in_sandbox_code((uint64_t)registers[REG_RIP]) ? thread->current : NULL;
}

static void clear_flags(greg_t *registers) {
    registers[REG_EFL] &= ~(greg_t)(FLAGS_TF | FLAGS_DF | FLAGS_AC);
}

/* A page that is not there is one trap, whether the kernel finds no mapping or no page installed in one. */
static int fault_signal(int signal, const siginfo_t *info) {
    return signal == SIGBUS && info->si_code == BUS_ADRERR ? SIGSEGV : signal;
}

static int fault_code(int signal, const siginfo_t *info) {
    return fault_signal(signal, info) != signal ? SEGV_MAPERR : info->si_code;
}

/* Signal 0: not a fault. */
static void record(struct activation *activation, int signal, const siginfo_t *info,
                   const greg_t *registers) {
    struct trap *trap = &activation->trap;
    trap->signal = signal != 0 ? fault_signal(signal, info) : 0;
    trap->code = signal != 0 ? fault_code(signal, info) : 0;
    trap->access = signal != 0 ? access_of(registers) : -1;
    trap->fault_address = signal != 0 ? (uint64_t)(uintptr_t)info->si_addr : 0;
    bool after = signal == SIGTRAP && registers[REG_TRAPNO] == TRAP_BREAKPOINT;
    trap->instruction_address = (uint64_t)registers[REG_RIP] - after;
    for (int i = 0; i < REGISTERS; i++) {
        trap->registers[i] = (uint64_t)registers[register_order[i]];
    }
}

/* Make returning from the signal handler leave the sandbox. */
static void trap(struct activation *activation, int signal, const siginfo_t *info, greg_t *registers) {
    record(activation, signal, info, registers);
    activation->outcome = TRAPPED;
    registers[REG_R10] = (greg_t)(uintptr_t)activation;
    registers[REG_RSP] = (greg_t)activation->host_rsp;
    registers[REG_RIP] = (greg_t)(uintptr_t)tmebox_leave;
    clear_flags(registers);
}

/* A fault in one of the functions that touch a window on the sandbox's behalf: they return what happened. */
static bool window_access(int signal, const siginfo_t *info, greg_t *registers) {
    uint64_t ip = (uint64_t)registers[REG_RIP];
    if (ip < (uint64_t)(uintptr_t)tmebox_window_begin || ip >= (uint64_t)(uintptr_t)tmebox_window_end) {
        return false;
    }
    registers[REG_RIP] = (greg_t)(uintptr_t)tmebox_window_fault;
    registers[REG_RAX] = (greg_t)(uintptr_t)info->si_addr;
    registers[REG_RDX] =
        (greg_t)((uint64_t)fault_signal(signal, info) | (uint64_t)(access_of(registers) & 0xff) << 8 |
                 (uint64_t)(uint32_t)fault_code(signal, info) << 32);
    return true;
}

/* A touch of a page that is not there yet: by a sandbox of its own window, or by host code of any. */
static bool installed(const struct activation *activation, const siginfo_t *info, const greg_t *registers) {
    uint64_t address = (uint64_t)(uintptr_t)info->si_addr, base;
    bool write = access_of(registers) == 1;
    if (info->si_code != BUS_ADRERR || access_of(registers) == 2) {
        return false;
    }
    if (activation != NULL) {
        const struct instance *instance = activation->instance;
        return instance->window != NULL &&
               tmebox_install(instance->window, instance->base, address - instance->base,
                              write ? SANDBOX_WRITES : SANDBOX_READS);
    }
    struct window *window = tmebox_find_window(address, &base);
    return window != NULL && tmebox_install(window, base, address - base, write ? HOST_WRITES : HOST_READS);
}

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
        default_action(fatal[index], info, action.sa_handler == SIG_IGN);
        return;
    }
    unsigned before = chaining;
    chaining |= layer->stacked ? bit : 0;
    call_handler(&action, fatal[index], info, context);
    chaining = before;
}

/* -- handlers ------------------------------------------------------------------------------------- */

/* The watchdog finds that sandbox code has had the GIL for too long. */
static bool must_release(const struct thread *thread) {
    uint64_t held = atomic_load_explicit(&thread->held, memory_order_relaxed);
    return held != 0 && atomic_load(&thread->release) == held;
}

/* The watchdog's signal. It comes again until the call has ended, so an interrupt that cannot be honoured
 * here (host code is never unwound) may be dropped. */
static void interrupt(siginfo_t *info, void *context) {
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    struct activation *activation = interrupted(registers);
    if (activation != NULL) {
        if (atomic_load(&activation->thread->expired) == activation->watch.sequence) {
            trap(activation, 0, info, registers);
        } else if (atomic_load(&tmebox_poll_requested) || must_release(activation->thread)) {
            tmebox_redirect_to_poll(context);
        }
    }
}

static void on_interrupt(int signal, siginfo_t *info, void *context) {
    (void)signal;
    int error = errno;
    interrupt(info, context);
    errno = error;
}

/* What the watchdog sends where the queue of real-time signals is full. */
static bool is_nudge(int signal) {
    return signal == NUDGE_SIGNAL && tmebox_thread != NULL && atomic_exchange(&tmebox_thread->nudged, false);
}

static void on_fault(int signal, siginfo_t *info, void *context) {
    int error = errno;
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    bool real = info->si_code > 0; /* made by the CPU, not sent by someone */
    struct activation *activation = interrupted(registers);
    if (real && signal == SIGBUS && installed(activation, info, registers)) {
        /* the instruction is tried again */
    } else if (real && activation != NULL) {
        trap(activation, signal, info, registers);
    } else if (!real && is_nudge(signal)) {
        interrupt(info, context);
    } else if (!real || !window_access(signal, info, registers)) {
        for (size_t i = 0; i < FATAL_COUNT; i++) {
            if (fatal[i] == signal) {
                chain(i, info, context);
                break;
            }
        }
    }
    errno = error;
}

/* -- looking at Python's signals ------------------------------------------------------------------ */

/* The kernel's struct ucontext: glibc's with a mask of 8 bytes at the end. */
#define UCONTEXT_SIZE (offsetof(ucontext_t, uc_sigmask) + 8)
#define FPSTATE_SIZE 512
#define FPSTATE_SOFTWARE 464 /* struct _fpx_sw_bytes: u32 magic, u32 size of the extended state, … */
#define FPSTATE_MAGIC 0x46505853

static size_t fpstate_size(const void *fpstate) {
    uint32_t software[2];
    memcpy(software, (const char *)fpstate + FPSTATE_SOFTWARE, sizeof software);
    return software[0] == FPSTATE_MAGIC ? software[1] : FPSTATE_SIZE;
}

/* Python's handlers may run long, deep, and call sandboxes: not from a signal handler, and not on its stack.
 * So the signal frame is moved to the host's stack, below what tmebox_enter saved there; the handler returns
 * into tmebox_poll_entry as if the sandbox had made a host call; and that one returns from the moved frame.
 */
bool tmebox_redirect_to_poll(void *context) {
    ucontext_t *from = context;
    greg_t *registers = from->uc_mcontext.gregs;
    struct activation *activation = interrupted(registers);
    if (activation == NULL || !activation->thread->main) {
        return false;
    }
    record(activation, 0, NULL, registers);
    uint64_t top = activation->host_rsp;
    size_t fpsize = fpstate_size(from->uc_mcontext.fpregs);
    top = (top - fpsize) & ~63ULL;
    memcpy((void *)top, from->uc_mcontext.fpregs, fpsize);
    void *fpstate = (void *)top;
    top = (top - UCONTEXT_SIZE) & ~15ULL;
    memcpy((void *)top, from, UCONTEXT_SIZE);
    ((ucontext_t *)top)->uc_mcontext.fpregs = fpstate;
    registers[REG_RBX] = (greg_t)top;
    registers[REG_R12] = (greg_t)(uintptr_t)activation;
    registers[REG_RSP] = (greg_t)top;
    registers[REG_RIP] = (greg_t)(uintptr_t)tmebox_poll_entry;
    clear_flags(registers);
    return true;
}

int tmebox_poll(struct activation *activation);

/* Called by tmebox_poll_entry. 0: go on as if nothing had happened. */
int tmebox_poll(struct activation *activation) {
    activation->polling = true;
    tmebox_suspend(activation);
    /* From the moment that this thread has the GIL until it lets it go, and after. */
    activation->instance->interrupted = true;
    tmebox_guard_foreign_handlers(true);
    atomic_store(&tmebox_poll_requested, true); /* resume looks */
    int result = tmebox_resume(activation);
    activation->instance->interrupted = false;
    activation->polling = false;
    return result;
}

/* -- installing ----------------------------------------------------------------------------------- */

static bool is_ours(int signal, void (*handler)(int, siginfo_t *, void *), struct sigaction *present) {
    return sigaction(signal, NULL, present) == 0 && (present->sa_flags & SA_SIGINFO) &&
           present->sa_sigaction == handler;
}

bool tmebox_can_nudge(void) {
    struct sigaction present;
    return is_ours(NUDGE_SIGNAL, on_fault, &present);
}

static int install(int signal, void (*handler)(int, siginfo_t *, void *), int flags) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK | flags};
    sigfillset(&action.sa_mask); /* a handler that touched a window now would find SIGBUS blocked, and die */
    if (sigaction(signal, &action, NULL) < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    return 0;
}

/* A real-time signal that nobody uses, from the top: libraries take theirs from the bottom. */
static int install_interrupt(void) {
    struct sigaction present;
    if (tmebox_interrupt_signal != 0 && is_ours(tmebox_interrupt_signal, on_interrupt, &present)) {
        return 0;
    }
    for (int signal = SIGRTMAX - 1; signal >= SIGRTMIN; signal--) {
        if (sigaction(signal, NULL, &present) == 0 && !(present.sa_flags & SA_SIGINFO) &&
            present.sa_handler == SIG_DFL) {
            interrupt_previous = present;
            tmebox_interrupt_signal = signal;
            return install(signal, on_interrupt, SA_RESTART);
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
    return install(fatal[index], on_fault, 0);
}

int tmebox_install_handlers(void) {
    if (install_interrupt() < 0) {
        return -1;
    }
    for (size_t i = 0; i < FATAL_COUNT; i++) {
        struct sigaction present;
        if (!is_ours(fatal[i], on_fault, &present) && install_over(i, &present) < 0) {
            return -1;
        }
    }
    /* Who replaced handlers may have replaced this thread's alternate stack as well: faulthandler does both.
     */
    if (tmebox_thread != NULL && tmebox_give_signal_stack(tmebox_thread) < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    tmebox_handlers = HANDLERS_CURRENT;
    tmebox_guard_foreign_handlers(getpid() == (int)syscall(SYS_gettid));
    return 0;
}

/* Faults are what new sandboxes rely on first, and who replaces handlers replaces these. */
int tmebox_ensure_handlers(void) {
    struct sigaction present;
    bool current = tmebox_handlers == HANDLERS_CURRENT && is_ours(SIGSEGV, on_fault, &present) &&
                   is_ours(SIGBUS, on_fault, &present);
    return current ? 0 : tmebox_install_handlers();
}

void tmebox_needed_signals(sigset_t *set) {
    sigemptyset(set);
    for (size_t i = 0; i < FATAL_COUNT; i++) {
        sigaddset(set, fatal[i]);
    }
    if (tmebox_interrupt_signal != 0) {
        sigaddset(set, tmebox_interrupt_signal);
    }
}

bool tmebox_handlers_current(void) {
    struct sigaction present;
    bool current =
        tmebox_handlers != HANDLERS_ABSENT && is_ours(tmebox_interrupt_signal, on_interrupt, &present);
    for (size_t i = 0; i < FATAL_COUNT; i++) {
        current = current && is_ours(fatal[i], on_fault, &present);
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
            if (is_ours(fatal[i], on_fault, &present)) {
                sigaction(fatal[i], &atomic_load(&layers[i])->previous, NULL);
            }
        }
        if (is_ours(tmebox_interrupt_signal, on_interrupt, &present)) {
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
