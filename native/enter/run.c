/* One call of a sandbox, from the checks under the GIL to the result or the exception. */
#include "enter/control.h"
#include "enter/datapath.h"
#include "enter/fibers.h"
#include "enter/enter.h"
#include "threads/signals.h"

#include <signal.h>
#include <string.h>

/* Kept free at the top of the stack: whole cache lines for what probes just above a frame. */
#define TOP_RESERVE 64

/* Below rsp, code may keep live data: 128 bytes of red zone, with a checked target, and what is spilled below it. */
#define NESTED_RESERVE 256

static_assert(TMEBOX_SPILL_REGISTER >= -NESTED_RESERVE, "a nested call must not touch the spill slots");

uint32_t tmebox_vector_policy;
bool tmebox_x87_expected;

/* While the sequence is 0: the watchdog must never take one call's limits for another's. */
static inline void publish_first(struct thread *thread, const struct watch *watch, uint64_t where) {
    atomic_store_explicit(&thread->timeout_ns, watch->timeout_ns, memory_order_release);
    atomic_store_explicit(&thread->deadline_ns, watch->deadline_ns, memory_order_release);
    atomic_store_explicit(&thread->where, where, memory_order_release);
    atomic_store_explicit(&thread->sequence, watch->sequence, memory_order_release);
}

static inline void publish(struct thread *thread, const struct watch *watch, uint64_t where) {
    atomic_store_explicit(&thread->sequence, 0, memory_order_release);
    publish_first(thread, watch, where);
}

/* Calls of one thread between two looks at its signal mask, if the watchdog's clock stands still. */
#define CALLS_UNSEEN 256

/* Host code may have blocked the signals since. Looking is a system call, so it is done once a tick.
 * Python's own way of blocking them leaves ours out (runtime/signals.py). */
static inline void look_at_signals(struct thread *thread, uint64_t sequence) {
    if (UNLIKELY(thread->looked_ns != atomic_load_explicit(&tmebox_watchdog_clock_ns, memory_order_relaxed) ||
                 sequence % CALLS_UNSEEN == 0)) {
        tmebox_open_signals(thread);
    }
}

/* Unless its state is at most `enough`. */
static inline void wake_watchdog_for(struct thread *thread, const struct watch *watch, int enough) {
    if (UNLIKELY(atomic_load_explicit(&tmebox_watchdog_state, memory_order_relaxed) > enough)) {
        bool turns = (thread->where & TURN_STATE) == TURN_ENDS;
        tmebox_watchdog_is_away(thread, watch->timeout_ns | watch->deadline_ns | thread->main | turns);
    }
}

/* Only this thread could want the GIL: it is alone in the interpreter's list. */
static inline bool alone(const PyThreadState *python) {
    return python->prev == NULL && python->next == NULL;
}

/* Releasing and taking the GIL is half of what a short call costs. So where nobody could run meanwhile it is
 * kept, and if the call lasts, the watchdog has it released: like Python code, a call keeps it for a few
 * milliseconds from a thread that C code brings. */
static inline void release_python(struct thread *thread, struct activation *activation, bool may_keep) {
    activation->holds_gil = may_keep && LIKELY(thread->main) && LIKELY(alone(PyThreadState_Get()));
    if (LIKELY(activation->holds_gil)) {
        atomic_store_explicit(&thread->held, ++thread->holds, memory_order_release);
    } else {
        activation->python = PyEval_SaveThread();
    }
}

static inline void take_python(struct thread *thread, struct activation *activation) {
    if (LIKELY(activation->holds_gil)) {
        atomic_store_explicit(&thread->held, 0, memory_order_release);
    } else {
        PyEval_RestoreThread(activation->python);
        activation->holds_gil = true;
    }
}

/* The limits of a call made from inside a host call. The outer call's clock goes on; a call of the same
 * instance may not outlive it, one of another instance is not to be punished for it. */
RARE static void nest(struct thread *thread, struct activation *activation) {
    struct watch *outer = &activation->outer.watch, *inner = &activation->watch;
    outer->sequence = atomic_load_explicit(&thread->sequence, memory_order_relaxed);
    outer->timeout_ns = atomic_load_explicit(&thread->timeout_ns, memory_order_relaxed);
    outer->deadline_ns = atomic_load_explicit(&thread->deadline_ns, memory_order_relaxed);
    if (outer->timeout_ns != 0 && outer->deadline_ns == 0) {
        bool seen = atomic_load(&thread->seen_sequence) == outer->sequence;
        uint64_t began = seen ? atomic_load(&thread->seen_ns) : tmebox_watchdog_clock_ns + WATCHDOG_TICK_NS;
        outer->deadline_ns = began + outer->timeout_ns;
    }
    if (thread->suspended == activation->instance) {
        inner->deadline_ns = outer->deadline_ns;
    }
}

/* Stack arguments onto the sandbox's stack. In a nested call the sandbox chose where that is, within its own
 * window; what cannot be written there is its fault. */
RARE static bool push_arguments(struct activation *activation, const uint64_t *stack, size_t stack_count) {
    const struct instance *instance = activation->instance;
    struct window_fault fault = {activation->rsp, SIGSEGV | 1 << 8 | (uint64_t)SEGV_MAPERR << 32};
    uint64_t at = tmebox_in_window(instance, activation->rsp);
    if (tmebox_can_be_stack(instance, at)) {
        fault = tmebox_window_copy((void *)at, stack, 8 * stack_count);
    }
    if (UNLIKELY(fault.how != 0)) {
        tmebox_trap_at_window(activation, fault, activation->address);
        return false;
    }
    return true;
}

static inline bool ready(const struct instance *instance, const struct thread *thread) {
    return thread != NULL && tmebox_is_alive(instance) && instance->depth == 0 && instance->base != 0 &&
           thread->depth == 0 &&
           atomic_load_explicit(&tmebox_handlers, memory_order_relaxed) == HANDLERS_CURRENT &&
           atomic_load_explicit(&tmebox_watchdog_state, memory_order_relaxed) != WATCHDOG_ABSENT;
}

/* Code with its base in r15 has no gs-relative instruction; enter.S loads r15. */
static inline void set_base(struct thread *thread, const struct instance *instance) {
    if (LIKELY(instance->r15 == 0)) {
        tmebox_set_gs_base(thread, instance->base);
    }
}

/* Into the sandbox and out again, once. The call is published. */
static inline void cross(struct thread *thread, const struct instance *instance, struct activation *activation) {
    set_base(thread, instance);
    thread->current = activation;
    tmebox_enter(activation);
    thread->current = NULL;
}

/* Whether it ended at a line whose memory does not verify under the sandbox's key, and is counted as that. The sandbox is
 * as it was when it was entered, but for what its own code did. */
static inline bool counted(struct activation *activation, uint64_t *detected) {
    bool found = detected != NULL && activation->outcome == TRAPPED && !activation->fatal &&
                 activation->trap.owner >= 0 && activation->trap.outcome != 0;
    if (found) {
        ++*detected;
        activation->outcome = RETURNED;
    }
    return found;
}

/* A call has ended elsewhere than on the stack that it began on: somebody else's frames are gone, or this one's are still
 * there. Or there are threads, and it may have been the last call. */
RARE static void leave_otherwise(struct activation *activation) {
    struct instance *instance = activation->instance;
    if (instance->control != activation->control) {
        if (activation->outcome == RETURNED) {
            tmebox_trap_at_window(activation, (struct window_fault){0, SIGILL | 0xff << 8 | (uint64_t)ILL_BADSTK << 32},
                                  TMEBOX_GATE_EXIT);
        }
        activation->fatal = true;
        activation->control->rsp = 0;
        instance->control = activation->control;
        instance->control_base = activation->control->base;
    }
    atomic_store_explicit(&activation->control->standing, AT_A_CALL, memory_order_relaxed);
    if (instance->depth == 1) {
        tmebox_bury_fibers(instance);
    }
}

static inline void leave_stack(const struct instance *instance, struct activation *activation) {
    activation->control->calls--;
    if (UNLIKELY(instance->control != activation->control || instance->fiber_count != 0)) {
        leave_otherwise(activation);
    }
}

/* The watchdog is told of the call that this one began in. */
RARE static void leave_to_others(struct thread *thread, const struct activation *activation, bool nested) {
    static const struct watch nothing;
    const struct watch *outer = nested ? &activation->outer.watch : &nothing;
    publish(thread, outer, nested ? IN_HOST : 0);
    if (nested) {
        wake_watchdog_for(thread, outer, WATCHDOG_AWAKE);
    }
}

/* It did not return, or has left an exception. What makes the exception for a trap, and the end of one that is not needed,
 * may run any Python code: nothing of the sandbox may be left to decide by then. */
RARE static int ended_otherwise(struct activation *activation) {
    struct instance *instance = activation->instance;
    instance->dead |= activation->fatal || activation->outcome == TRAPPED;
    if (activation->outcome == TRAPPED) {
        tmebox_raise_trap(instance, &activation->trap);
    }
    if (activation->pending != NULL) {
        tmebox_raise_pending(activation);
    }
    return -1;
}

/* The limits and the place of one call that began inside another, or may have, for when it has ended. */
static inline void remember_outer(const struct thread *thread, const struct instance *instance,
                                  struct activation *activation) {
    activation->outer =
        (struct outer){{0, 0, 0}, instance->rsp, instance->running, thread->suspended, instance->text_used};
    tmebox_keep_words(activation);
}

/* Who is in the sandbox, and in what. */
static inline void begin(struct thread *thread, struct instance *instance, struct activation *activation,
                         bool outermost) {
    instance->thread = thread;
    if (activation->descriptors != NULL) {
        instance->running = activation->descriptors;
    } else if (outermost || activation->depth == 1) {
        instance->running = instance->descriptors;
    }
    if (outermost || activation->depth == 1 || activation->text_used != 0) {
        instance->text_used = activation->text_used;
    }
    const struct guest_descriptors *running = instance->running;
    activation->system_import = activation->clock_import = NO_IMPORT;
    if (running != NULL) {
        instance->running->fresh = NULL; /* it was opened in another call */
        activation->system_import = instance->system_import;
        activation->clock_import = running->host_clock && running->counts == NULL ? instance->system_import : NO_IMPORT;
    }
    instance->depth = activation->depth;
    thread->depth++;
    if (UNLIKELY(!outermost && thread->depth != 1)) {
        nest(thread, activation);
    } else {
        thread->outermost = activation->watch.sequence;
    }
    instance->in_host = false;
    if (activation->control != NULL) {
        activation->control->calls++;
    }
}

/* The reverse. What `outermost` leaves as it is nobody looks at while no call runs. */
static inline void end(struct thread *thread, struct instance *instance, struct activation *activation,
                       bool outermost) {
    if (activation->control != NULL) {
        leave_stack(instance, activation);
    }
    if (UNLIKELY(activation->outcome == RAISED) && !activation->fatal && tmebox_is_alive(instance)) {
        tmebox_put_words_back(activation);
    }
    if (UNLIKELY(instance->depth != activation->depth)) {
        instance->dead = true; /* what began inside is suspended, and must end */
    }
    instance->depth--;
    thread->depth--;
    if (outermost) {
        thread->suspended = NULL;
        instance->running = NULL;
    } else {
        instance->in_host = true;
        thread->suspended = activation->outer.suspended;
        instance->running = activation->outer.running;
        instance->rsp = activation->outer.rsp;
        instance->text_used = activation->outer.text_used;
    }
}

/* One call, which enters `times` times. Inlined: `outermost` (no other call is on this thread, nor in this sandbox) and
 * once are known then, and what is for the others costs such a call nothing. */
static inline __attribute__((always_inline)) int run(struct thread *thread, struct instance *instance,
                                                     struct activation *activation, const uint64_t *stack,
                                                     size_t stack_count, uint64_t timeout_ns, uint64_t times,
                                                     uint64_t *detected, bool outermost) {
    uint32_t depth = outermost ? 0 : instance->depth;
    if (LIKELY(instance->has_control) && depth == 0 && !tmebox_take_control(instance)) {
        return -1;
    }
    bool nested = !outermost && thread->depth != 0;
    activation->instance = instance;
    activation->thread = thread;
    activation->r15 = instance->r15;
    activation->return_gate = instance->return_gate;
    activation->control = instance->control;
    activation->depth = depth + 1;
    activation->outcome = RETURNED;
    activation->holds_gil = activation->fatal = activation->polling = activation->wants_form = false;
    activation->pending = NULL;
    if (!outermost) {
        remember_outer(thread, instance, activation);
    }
    uint64_t sequence = atomic_load_explicit(&thread->calls, memory_order_relaxed) + 1;
    atomic_store_explicit(&thread->calls, sequence, memory_order_relaxed);
    activation->watch = (struct watch){sequence, timeout_ns, 0};

    uint64_t top = depth == 0 ? instance->entry - TOP_RESERVE : instance->rsp - NESTED_RESERVE;
    activation->rsp = (top - 8 * stack_count) & ~31ULL;
    /* Where there are none, the entering call pushes the return address, or traps. */
    if (LIKELY(stack_count == 0) || push_arguments(activation, stack, stack_count)) {
        begin(thread, instance, activation, outermost);
        release_python(thread, activation, true);
        if (outermost) { /* the sequence is 0 while no call is on the thread */
            publish_first(thread, &activation->watch, instance->slices);
        } else {
            publish(thread, &activation->watch, instance->slices);
        }
        wake_watchdog_for(thread, &activation->watch, WATCHDOG_AWAKE);
        look_at_signals(thread, sequence);
        uint64_t rsp = activation->rsp;
        cross(thread, instance, activation);
        while ((activation->outcome == RETURNED || counted(activation, detected)) &&
               instance->control == activation->control && --times != 0) {
            activation->rsp = rsp; /* a host call left its own */
            cross(thread, instance, activation);
        }
        if (UNLIKELY(thread->pipes != PIPES_LOUD)) {
            tmebox_loud_pipes(thread);
        }
        /* Greenlets end calls in any order: what this one began in may be over, or others may have begun in it. */
        if (LIKELY(thread->depth == 1)) {
            atomic_store_explicit(&thread->sequence, 0, memory_order_release);
        } else {
            leave_to_others(thread, activation, nested);
        }
        take_python(thread, activation);
        end(thread, instance, activation, outermost);
    }
    if (LIKELY(activation->outcome == RETURNED && activation->pending == NULL)) {
        return 0;
    }
    return ended_otherwise(activation);
}

RARE static int run_carefully(struct instance *instance, struct activation *activation, const uint64_t *stack,
                              size_t stack_count, uint64_t timeout_ns, uint64_t times, uint64_t *detected) {
    struct thread *thread = tmebox_prepare_call(instance, timeout_ns);
    return thread == NULL
               ? -1
               : run(thread, instance, activation, stack, stack_count, timeout_ns, times, detected, false);
}

int tmebox_run(struct instance *instance, struct activation *activation, const uint64_t *stack,
               size_t stack_count, uint64_t timeout_ns) {
    struct thread *thread = tmebox_thread;
    return LIKELY(ready(instance, thread))
               ? run(thread, instance, activation, stack, stack_count, timeout_ns, 1, NULL, true)
               : run_carefully(instance, activation, stack, stack_count, timeout_ns, 1, NULL);
}

int tmebox_run_repeatedly(struct instance *instance, struct activation *activation, uint64_t timeout_ns,
                          uint64_t times) {
    return run_carefully(instance, activation, NULL, 0, timeout_ns, times, NULL);
}

int tmebox_run_into_foreign_lines(struct instance *instance, struct activation *activation, uint64_t timeout_ns,
                                  uint64_t times, uint64_t *detected) {
    return run_carefully(instance, activation, NULL, 0, timeout_ns, times, detected);
}

void tmebox_suspend(struct activation *activation) {
    struct thread *thread = activation->thread;
    thread->current = NULL;
    thread->suspended = activation->instance;
    thread->quiet += thread->polls == 0;
    if (UNLIKELY(thread->pipes != PIPES_LOUD)) {
        tmebox_loud_pipes(thread);
    }
    atomic_store_explicit(&thread->where, IN_HOST, memory_order_release);
    take_python(thread, activation);
    if (activation->control != NULL && !activation->polling) {
        atomic_store_explicit(&activation->instance->control->standing, AT_A_CALL, memory_order_relaxed);
    }
    activation->instance->rsp = activation->rsp;
    activation->instance->in_host = true;
}

/* Whether the call's time is over. After a nested call the deadline is known here, and the watchdog may not
 * have seen the outer call again yet. */
static bool is_late(const struct activation *activation) {
    struct thread *thread = activation->thread;
    if (atomic_load_explicit(&thread->expired, memory_order_relaxed) == activation->watch.sequence) {
        return true;
    }
    uint64_t deadline = atomic_load_explicit(&thread->deadline_ns, memory_order_relaxed);
    return deadline != 0 && tmebox_watchdog_clock_ns >= deadline &&
           atomic_load_explicit(&thread->sequence, memory_order_relaxed) == activation->watch.sequence;
}

/* May the sandbox go on? If not, the outcome is decided. */
static bool may_resume(struct activation *activation) {
    struct instance *instance = activation->instance;
    struct thread *thread = activation->thread;
    if (thread->main && atomic_exchange(&tmebox_poll_requested, false) && PyErr_CheckSignals() < 0) {
        activation->fatal = true;
        activation->outcome = RAISED;
    } else if (instance->depth != activation->depth) {
        PyErr_SetString(PyExc_RuntimeError,
                        "calls of one sandbox must end in the opposite order of their beginning");
        activation->fatal = true;
        activation->outcome = RAISED;
    } else if (!tmebox_is_alive(instance)) { /* a nested call trapped, and the host function kept that to itself */
        tmebox_raise_closed(instance);
        activation->outcome = RAISED;
    } else if (is_late(activation)) {
        if (activation->polling) { /* `trap` says where */
            activation->outcome = TRAPPED;
        } else {
            tmebox_trap_in_host(activation, (struct window_fault){0, (uint64_t)0xff << 8});
        }
    } else {
        return true;
    }
    return false;
}

int tmebox_resume(struct activation *activation) {
    struct thread *thread = activation->thread;
    bool resume = may_resume(activation);
    if (resume) {
        activation->instance->in_host = false;
        if (activation->instance->running != NULL) { /* meanwhile files may have changed */
            activation->instance->running->fresh = NULL;
        }
        /* System calls that Python answers take long anyway, and programs make few. If the GIL were kept, it would have to
         * be taken away by signals, which mostly find a server in the kernel and have to be sent again. */
        release_python(thread, activation, !activation->polling && activation->index != activation->system_import);
        if (LIKELY(atomic_load_explicit(&thread->sequence, memory_order_relaxed) ==
                   activation->watch.sequence)) {
            atomic_store_explicit(&thread->where, activation->instance->slices, memory_order_release);
        } else { /* another greenlet's calls came in between */
            publish(thread, &activation->watch, activation->instance->slices);
        }
        wake_watchdog_for(thread, &activation->watch, WATCHDOG_DOZING);
        look_at_signals(thread, atomic_load_explicit(&thread->calls, memory_order_relaxed));
        if (UNLIKELY(!activation->instance->has_control)) {
            tmebox_give_signal_stack(thread); /* amid a rebase a frame would lie anywhere below 4 GiB */
        }
        set_base(thread, activation->instance);
    }
    thread->current = activation;
    return resume ? 0 : -1;
}
