/* When a sandbox may not be entered or written, and what is said then. */
#include "enter/enter.h"
#include "threads/signals.h"

/* Activations one thread may have, so that a sandbox and host functions that call each other without any
 * Python function in between cannot run the host's stack out. */
#define MAX_DEPTH 200

/* What the host has instead of a function that only makes traps may know how it came to this. */
static PyObject *closed_error(const struct instance *instance) {
    PyObject *make_trap = Py_XNewRef(instance->make_trap); /* may be replaced meanwhile */
    PyObject *error = make_trap == NULL ? NULL : PyObject_CallMethod(make_trap, "closed_error", NULL);
    Py_XDECREF(make_trap);
    if (error != NULL && !PyExceptionInstance_Check(error)) {
        Py_CLEAR(error);
    }
    if (error == NULL && PyErr_Occurred() && PyErr_ExceptionMatches(PyExc_AttributeError)) {
        PyErr_Clear();
    }
    return error;
}

void tmebox_raise_closed(const struct instance *instance) {
    if (instance->generation != tmebox_generation) {
        PyErr_SetString(tmebox_closed_error,
                        "the sandbox belongs to the process that this one was forked from");
        return;
    }
    PyObject *error = closed_error(instance);
    if (error != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        Py_DECREF(error);
    } else if (!PyErr_Occurred()) {
        PyErr_SetString(tmebox_closed_error, "the sandbox was closed, or a trap ended it");
    }
}

PyObject *tmebox_raise_busy(void) {
    PyErr_SetString(tmebox_busy_error, "the sandbox is running a call");
    return NULL;
}

/* A return address, or the target of a jump, must not change between its check and its use. Who is stopped in
 * a host call is between two instructions that need nothing of each other. Who was interrupted is at any
 * instruction: so it is neither entered nor written until it goes on, not even by the thread that stopped it.
 */
RARE void tmebox_raise_interrupted(void) {
    PyErr_SetString(tmebox_busy_error,
                    "the sandbox was interrupted in the middle of its code, by this signal handler or finalizer: "
                    "it can be called and written again once the call that it runs has returned");
}

/* Python can make one without its __init__: offsets would be addresses of the host's. */
static void raise_no_window(void) {
    PyErr_SetString(PyExc_RuntimeError, "the instance was not initialised");
}

/* Whoever asks need not have the window: where the sandbox was closed, on any thread, it may be another's by now. */
bool tmebox_may_write(const struct instance *instance) {
    if (instance->base == 0) {
        raise_no_window();
    } else if (instance->generation != tmebox_generation || instance->closed) {
        tmebox_raise_closed(instance);
    } else if (instance->depth != 0 && instance->thread != tmebox_thread) {
        tmebox_raise_busy();
    } else if (instance->interrupted) {
        tmebox_raise_interrupted();
    } else {
        return true;
    }
    return false;
}

/* Whether what is left of this thread's stack should be kept for others. Elsewhere (a coroutine library's
 * stack) nothing is known. */
static bool stack_is_short(const struct thread *thread) {
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    return here >= thread->host_stack_low && here < thread->host_stack_short;
}

RARE struct thread *tmebox_prepare_call(struct instance *instance, uint64_t timeout_ns) {
    if (instance->base == 0) {
        raise_no_window();
        return NULL;
    }
    struct thread *thread = tmebox_thread;
    if (thread == NULL && ((tmebox_handlers != HANDLERS_CURRENT && tmebox_install_handlers() < 0) ||
                           (thread = tmebox_register_thread()) == NULL)) {
        return NULL;
    }
    if (!tmebox_is_alive(instance)) {
        if (instance->paused && instance->generation == tmebox_generation) {
            PyErr_SetString(tmebox_busy_error, "the sandbox is being reset or captured on another thread");
        } else {
            tmebox_raise_closed(instance);
        }
        return NULL;
    }
    if (instance->depth != 0 && instance->thread != thread) {
        PyErr_SetString(tmebox_busy_error, "the sandbox is running a call on another thread");
        return NULL;
    }
    if (instance->interrupted) {
        tmebox_raise_interrupted();
        return NULL;
    }
    if (thread->depth >= MAX_DEPTH || (thread->depth != 0 && stack_is_short(thread))) {
        PyErr_Format(PyExc_RecursionError, "%u calls of sandboxes inside each other",
                     (unsigned)thread->depth);
        return NULL;
    }
    if (tmebox_handlers != HANDLERS_CURRENT && tmebox_install_handlers() < 0) {
        return NULL;
    }
    if (atomic_load(&tmebox_watchdog_state) == WATCHDOG_ABSENT && tmebox_wake_watchdog() < 0 &&
        (timeout_ns != 0 || thread->main)) {
        PyErr_SetString(tmebox_limit_error, "the thread that watches time limits cannot be started: "
                                            "the limit on threads is reached (raise it: ulimit -u)");
        return NULL;
    }
    return thread;
}
