/* Callbacks: functions of the host that sandboxed code has by pointer. It calls a trampoline, a verified stub whose
 * number is the callback's index; which function that is, and whether it is one still, is looked up here. Sandboxed
 * code can call any number at any time, with any arguments. */
#include "python/face.h"

#include <string.h>

/* The table grows by as many as a text of trampolines has. */
#define GROW_BY 512

/* What it refers to is let go of at once; its name stays, to be told. */
static void forget(struct callback *callback) {
    struct import kept = callback->import;
    callback->import.handler = callback->import.convert = callback->import.read = NULL;
    callback->import.makers = NULL;
    Py_XDECREF(kept.handler); /* which may run any code, and free the callback */
    Py_XDECREF(kept.convert);
    Py_XDECREF(kept.read);
    Py_XDECREF(kept.makers);
}

/* To be said when it was closed, and when the table or a call has done with it. Who is in it still needs all of it. */
static void let_go(struct callback *callback) {
    if (callback->callers != 0) {
        return;
    }
    if (!callback->in_table) {
        tmebox_free_import(&callback->import);
        PyMem_Free(callback);
    } else if (callback->closed) {
        forget(callback);
    }
}

/* It may be closed, and its slot be another's, before it returns. */
static int call_callback(struct activation *activation, const struct import *import) {
    struct callback *callback = (struct callback *)import; /* its first member */
    if (callback->closed) {
        PyErr_Format(tmebox_reference_error,
                     "sandboxed code called %s, a callback that is closed: keep it open as long as the sandbox has the "
                     "pointer, as by callback = box.callback(...)",
                     import->name);
        return -1;
    }
    callback->callers++;
    int result = callback->inner(activation, import);
    callback->callers--;
    let_go(callback);
    return result;
}

static int call_lost(struct activation *activation, const struct import *import) {
    (void)activation;
    (void)import;
    PyErr_SetString(tmebox_reference_error,
                    "sandboxed code called a callback of the sandbox that its snapshot was taken of, which this one does "
                    "not have: pass it one of its own, as by box.callback(...)");
    return -1;
}

static const struct import lost = {.call = call_lost};

PyObject *tmebox_begin_callbacks(PyObject *object, PyObject *first) {
    struct instance *self = (struct instance *)object;
    unsigned long number = PyLong_AsUnsignedLong(first);
    if (PyErr_Occurred()) {
        return NULL;
    }
    if (number > TMEBOX_MAX_CALLBACKS || self->callback_count != 0) {
        PyErr_SetString(PyExc_ValueError, "begin_callbacks(number), before there are any");
        return NULL;
    }
    self->callback_first = self->callback_next = (uint32_t)number;
    self->callback_lost = &lost;
    Py_RETURN_NONE;
}

/* The next slot from `least` on that is free, or whose callback was closed; UINT32_MAX where there is none. */
static uint32_t free_from(const struct instance *self, uint32_t least) {
    for (uint32_t i = 0; i < self->callback_count; i++) {
        uint32_t slot = (self->callback_next + i) % self->callback_count;
        if (slot >= least && (self->callbacks[slot] == NULL || self->callbacks[slot]->closed)) {
            return slot;
        }
    }
    return UINT32_MAX;
}

/* The first free slot, or one whose callback was closed, longest ago if possible: what sandboxed code still has of
 * that is told as long as can be. Last of all, one that was another sandbox's. -1 with an exception set, UINT32_MAX
 * where there is none. */
static int64_t free_slot(struct instance *self) {
    uint32_t count = self->callback_count, slot = free_from(self, self->callback_first);
    if (slot == UINT32_MAX && count < TMEBOX_MAX_CALLBACKS) {
        uint32_t enough = count + GROW_BY;
        while (enough <= self->callback_first && enough < TMEBOX_MAX_CALLBACKS) {
            enough += GROW_BY;
        }
        struct callback **table = PyMem_Realloc(self->callbacks, enough * sizeof(*table));
        if (table == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        memset(table + count, 0, (enough - count) * sizeof *table);
        self->callbacks = table;
        self->callback_count = enough;
        self->callback_next = count;
        slot = free_from(self, self->callback_first);
    }
    return slot == UINT32_MAX ? free_from(self, 0) : slot;
}

static bool read_fallback(PyObject *words, struct import *import) {
    import->has_fallback = words != NULL && words != Py_None;
    return !import->has_fallback ||
           PyArg_ParseTuple(words, "KKKK:fallback", &import->fallback[0], &import->fallback[1], &import->fallback[2],
                            &import->fallback[3]);
}

PyObject *tmebox_add_callback(PyObject *object, PyObject *args) {
    struct instance *self = (struct instance *)object;
    PyObject *row, *fallback = NULL;
    if (!PyArg_ParseTuple(args, "O!|O:add_callback", &PyTuple_Type, &row, &fallback)) {
        return NULL;
    }
    if (self->closed) {
        tmebox_raise_closed(self);
        return NULL;
    }
    struct callback *callback = PyMem_Calloc(1, sizeof *callback);
    if (callback == NULL) {
        return PyErr_NoMemory();
    }
    int64_t slot = -1;
    if (tmebox_parse_import(&callback->import, row) == 0 && read_fallback(fallback, &callback->import)) {
        callback->inner = callback->import.call;
        callback->import.call = call_callback;
        slot = free_slot(self);
    }
    if (slot < 0 || slot == UINT32_MAX) {
        let_go(callback);
        return slot < 0 ? NULL : PyLong_FromLong(-1);
    }
    struct callback *old = self->callbacks[slot];
    self->callbacks[slot] = callback;
    callback->in_table = true;
    self->callback_next = (uint32_t)slot + 1;
    if (old != NULL) {
        old->in_table = false;
        let_go(old);
    }
    return PyLong_FromLong((long)slot);
}

PyObject *tmebox_close_callback(PyObject *object, PyObject *index) {
    struct instance *self = (struct instance *)object;
    unsigned long slot = PyLong_AsUnsignedLong(index);
    if (PyErr_Occurred()) {
        return NULL;
    }
    if (slot < self->callback_count && self->callbacks[slot] != NULL && !self->callbacks[slot]->closed) {
        self->callbacks[slot]->closed = true;
        let_go(self->callbacks[slot]);
    }
    Py_RETURN_NONE;
}

PyObject *tmebox_lend_handles(PyObject *object, PyObject *handles) {
    struct instance *self = (struct instance *)object;
    if (!PyDict_CheckExact(handles)) {
        PyErr_SetString(PyExc_TypeError, "lend_handles(dict)");
        return NULL;
    }
    if (self->handles == NULL && !self->closed) {
        self->handles = Py_NewRef(handles);
    }
    Py_RETURN_NONE;
}

int tmebox_visit_callbacks(const struct instance *self, visitproc visit, void *arg) {
    for (uint32_t i = 0; i < self->callback_count; i++) {
        if (self->callbacks[i] != NULL) {
            Py_VISIT(self->callbacks[i]->import.handler);
            Py_VISIT(self->callbacks[i]->import.convert);
            Py_VISIT(self->callbacks[i]->import.read);
            Py_VISIT(self->callbacks[i]->import.makers);
        }
    }
    return 0;
}

void tmebox_free_callbacks(struct instance *self) {
    struct callback **table = self->callbacks;
    uint32_t count = self->callback_count;
    self->callbacks = NULL;
    self->callback_count = self->callback_next = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (table[i] != NULL) {
            table[i]->closed = true;
            table[i]->in_table = false;
            let_go(table[i]);
        }
    }
    PyMem_Free(table);
}
