/* What a host thread needs before it may enter a sandbox: an alternate signal stack, the signals unblocked
 * that end sandboxes, and a record that the watchdog reads. */
#include "threads/thread.h"
#include "threads/signals.h"
#include "heap/views.h"
#include "windows/window.h"

#include <asm/prctl.h>
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

/* What our handlers and those we chain to may use above the frame that the kernel pushes. A stack that is
 * there already (faulthandler's) is kept if it has the lesser amount. */
#define STACK_ROOM (64 * 1024)
#define STACK_ROOM_KEPT (12 * 1024)

__thread struct thread *tmebox_thread __attribute__((tls_model("initial-exec")));
pthread_mutex_t tmebox_registry_lock = PTHREAD_MUTEX_INITIALIZER;
struct thread *tmebox_registry;
bool tmebox_has_fsgsbase;

_Atomic int tmebox_watchdog_state = WATCHDOG_ABSENT;
_Atomic uint64_t tmebox_slice_ns = 5000000;
_Atomic uint64_t tmebox_watchdog_clock_ns = 1; /* 0 stands for no deadline */

static pthread_key_t key;

static size_t signal_frame_size(void) {
    unsigned long size = getauxval(AT_MINSIGSTKSZ);
    return size != 0 ? size : 8 * 1024; /* kernels before 5.14 do not say; AVX-512 needs under 4 KiB */
}

/* In the middle of a rebase rsp is any number below 4 GiB that the sandbox likes. Were it on the alternate
 * stack, the kernel would take the thread for being in a handler already and go on from there. */
static bool out_of_reach(const void *stack) {
    return (uint64_t)(uintptr_t)stack >= TMEBOX_TARGET_MAP_END;
}

static int map_signal_stack(struct thread *thread) {
    size_t page = TMEBOX_PAGE_SIZE;
    size_t usable = (signal_frame_size() + STACK_ROOM + page - 1) & ~(page - 1);
    char *stack = mmap(NULL, usable + page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (stack == MAP_FAILED) {
        return -1;
    }
    /* The lowest page stays a guard. */
    int error = out_of_reach(stack) ? 0 : EADDRNOTAVAIL;
    if (error == 0 && mprotect(stack + page, usable, PROT_READ | PROT_WRITE) < 0) {
        error = errno;
    }
    if (error != 0) {
        munmap(stack, usable + page);
        errno = error;
        return -1;
    }
    thread->signal_stack = stack;
    thread->signal_stack_size = usable + page;
    return 0;
}

int tmebox_give_signal_stack(struct thread *thread) {
    stack_t present;
    if (sigaltstack(NULL, &present) == 0 && !(present.ss_flags & SS_DISABLE) && out_of_reach(present.ss_sp) &&
        present.ss_size >= signal_frame_size() + STACK_ROOM_KEPT) {
        return 0;
    }
    stack_t ours = {
        .ss_sp = (char *)thread->signal_stack + TMEBOX_PAGE_SIZE,
        .ss_size = thread->signal_stack_size - TMEBOX_PAGE_SIZE,
    };
    return sigaltstack(&ours, NULL);
}

static void take_signal_stack(struct thread *thread) {
    stack_t present;
    if (thread->signal_stack == NULL || sigaltstack(NULL, &present) < 0) {
        return;
    }
    if ((char *)present.ss_sp == (char *)thread->signal_stack + TMEBOX_PAGE_SIZE) {
        stack_t none = {.ss_flags = SS_DISABLE};
        if (sigaltstack(&none, NULL) < 0) {
            return; /* running on it */
        }
    }
    munmap(thread->signal_stack, thread->signal_stack_size);
}

/* How much of the thread's stack a sandbox may not take by calling host functions that call it. */
#define STACK_KEPT (256 * 1024)

static void measure_stack(struct thread *thread) {
    pthread_attr_t attributes;
    void *low;
    size_t size;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0) {
        return;
    }
    if (pthread_attr_getstack(&attributes, &low, &size) == 0) {
        thread->host_stack_low = (uintptr_t)low;
        thread->host_stack_short = (uintptr_t)low + (size / 4 < STACK_KEPT ? size / 4 : STACK_KEPT);
    }
    pthread_attr_destroy(&attributes);
}

/* A fault whose signal is blocked kills the process; a blocked interrupt never arrives. */
void tmebox_open_signals(struct thread *thread) {
    sigset_t set;
    thread->looked_ns = tmebox_watchdog_clock_ns;
    tmebox_needed_signals(&set);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    tmebox_give_signal_stack(thread); /* ours is mapped: it fails only for code that runs on one */
}

/* At thread exit. A later destructor that calls a sandbox registers the thread again, and this runs again. */
static void unregister(void *value) {
    struct thread *thread = value;
    pthread_mutex_lock(&tmebox_registry_lock);
    for (struct thread **link = &tmebox_registry; *link != NULL; link = &(*link)->next) {
        if (*link == thread) {
            *link = thread->next;
            break;
        }
    }
    pthread_mutex_unlock(&tmebox_registry_lock);
    tmebox_thread = NULL;
    take_signal_stack(thread);
    if (thread->depth == 0) { /* else a greenlet has left calls that never end: by its address sandboxes know whose they are */
        free(thread);
    }
}

struct thread *tmebox_register_thread(void) {
    struct thread *thread = calloc(1, sizeof *thread);
    if (thread == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    /* Mapped even if there is one that will do: its owner may take it away, or have another, at any time. */
    if (map_signal_stack(thread) < 0 || tmebox_give_signal_stack(thread) < 0) {
        PyErr_Format(tmebox_limit_error,
                     errno == EADDRNOTAVAIL
                         ? "this thread cannot call sandboxes: new memory lies below 4 GiB here, where "
                           "sandboxed code could reach its signal handlers' stack (%s); tools that lay out "
                           "the address space themselves do that, such as valgrind"
                         : "this thread cannot call sandboxes: no memory for its signal handlers (%s); close "
                           "sandboxes, or raise vm.max_map_count, `ulimit -v` or `ulimit -d`",
                     strerror(errno));
        take_signal_stack(thread);
        free(thread);
        return NULL;
    }
    if (pthread_setspecific(key, thread) != 0) {
        take_signal_stack(thread);
        free(thread);
        PyErr_NoMemory();
        return NULL;
    }
    tmebox_open_signals(thread);
    measure_stack(thread);
    thread->tid = (int)syscall(SYS_gettid);
    thread->main = thread->tid == getpid(); /* the only one that Python runs signal handlers on */
    pthread_mutex_lock(&tmebox_registry_lock);
    thread->next = tmebox_registry;
    tmebox_registry = thread;
    pthread_mutex_unlock(&tmebox_registry_lock);
    tmebox_thread = thread;
    return thread;
}

void tmebox_set_gs_base_by_syscall(struct thread *thread, uint64_t base) {
    if (thread->gs_base != base) {
        syscall(SYS_arch_prctl, ARCH_SET_GS, base);
        thread->gs_base = base;
    }
}

bool tmebox_rouse_watchdog(void) {
    int state = atomic_load(&tmebox_watchdog_state);
    if (state != WATCHDOG_DOZING && state != WATCHDOG_RESTING && state != WATCHDOG_ASLEEP) {
        return false;
    }
    if (atomic_compare_exchange_strong(&tmebox_watchdog_state, &state, WATCHDOG_AWAKE)) {
        syscall(SYS_futex, &tmebox_watchdog_state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    }
    return true;
}

static void before_fork(void) {
    pthread_mutex_lock(&tmebox_registry_lock);
}

static void after_fork_in_parent(void) {
    pthread_mutex_unlock(&tmebox_registry_lock);
}

/* Only the forking thread exists, and it is the main thread now. The other records and their stacks stay
 * allocated: nothing says what state they are in. */
static void after_fork_in_child(void) {
    struct thread *self = tmebox_thread;
    tmebox_registry = self;
    if (self != NULL) {
        self->next = NULL;
        self->tid = (int)syscall(SYS_gettid);
        self->main = true;
    }
    atomic_store(&tmebox_watchdog_state, WATCHDOG_ABSENT);
    atomic_store(&tmebox_own_threads, 0);
    tmebox_generation++;
    tmebox_userfault_after_fork();
    tmebox_pieces_after_fork();
    tmebox_share_after_fork();
    tmebox_heaps_after_fork();
    tmebox_heap_views_after_fork();
    tmebox_heap_holes_after_fork();
    tmebox_random_after_fork();
    pthread_mutex_unlock(&tmebox_registry_lock);
}

int tmebox_init_threads(void) {
    tmebox_has_fsgsbase = (getauxval(AT_HWCAP2) & 2) != 0;
    int error = pthread_key_create(&key, unregister);
    if (error == 0) {
        error = pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
    }
    if (error != 0) {
        errno = error;
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    return 0;
}
