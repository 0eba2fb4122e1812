/* When a sandbox may not be entered or written, and what is said then. */
#include "enter/enter.h"

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

bool tmebox_may_write(const struct instance *instance) {
    if (instance->generation != tmebox_generation) {
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
