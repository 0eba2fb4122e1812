/* What the core knows of a sandbox's threads and control stacks, for Python. */
#include "enter/control.h"
#include "enter/fibers.h"
#include "enter/slices.h"
#include "python/face.h"

#include <stdlib.h>
#include <string.h>

#define MOST_READ (64ULL << 20)

PyObject *tmebox_instance_read_control(PyObject *object, PyObject *args) {
    unsigned long long offset, size_bytes;
    if (!PyArg_ParseTuple(args, "KK:read_control", &offset, &size_bytes)) {
        return NULL;
    }
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(size_bytes < MOST_READ ? size_bytes : MOST_READ));
    if (bytes != NULL) {
        uint64_t size = tmebox_read_control((struct instance *)object, offset, PyBytes_AS_STRING(bytes),
                                            (uint64_t)PyBytes_GET_SIZE(bytes));
        _PyBytes_Resize(&bytes, (Py_ssize_t)size);
    }
    return bytes;
}

/* They are zeros again, too, and nobody stands on one. */
void tmebox_begin_stacks_again(struct instance *self) {
    tmebox_end_fibers(self);
    tmebox_leave_control(self);
    self->serial = tmebox_control_owner();
}

PyObject *tmebox_instance_end_threads(PyObject *object, PyObject *unused) {
    (void)unused;
    struct instance *self = (struct instance *)object;
    if (self->depth != 0) {
        return tmebox_raise_busy();
    }
    tmebox_begin_stacks_again(self);
    Py_RETURN_NONE;
}

/* size: of what is on the stack; 0: nobody stands there, also where the sandbox died in the middle of a call. */
struct stood {
    unsigned long long low, top;
    size_t size;
};

/* First the facts: making Python objects may run finalizers, which may end threads, or fork. `words`: what is on the
 * stacks, one after the other. Both are to be freed. NULL: no memory. */
static struct stood *stood(const struct instance *self, uint32_t count, char **words) {
    struct stood *rows = calloc(count + 1, sizeof *rows);
    size_t size = 0;
    for (uint32_t i = 0; rows != NULL && i < count; i++) {
        const struct control *control = self->fibers[i];
        if (control != NULL && control->rsp != 0) {
            rows[i] = (struct stood){control->low, control->top, control->top - control->rsp};
            size += rows[i].size;
        }
    }
    char *to = *words = rows != NULL ? malloc(size + 1) : NULL;
    if (to == NULL) {
        free(rows);
        return NULL;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (rows[i].size != 0) {
            memcpy(to, (const void *)(uintptr_t)(self->fibers[i]->base + self->fibers[i]->rsp), rows[i].size);
            to += rows[i].size;
        }
    }
    return rows;
}

/* Of threads that stand, by number. One between two instructions has registers that only go with this window. */
PyObject *tmebox_instance_threads(PyObject *object, PyObject *unused) {
    (void)unused;
    struct instance *self = (struct instance *)object;
    if (self->depth != 0) {
        return tmebox_raise_busy();
    }
    uint32_t count = self->generation == tmebox_generation ? self->fiber_count : 0;
    while (count > 0 && self->fibers[count - 1] == NULL) {
        count--;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (self->fibers[i] != NULL && tmebox_was_interrupted(self->fibers[i])) {
            PyErr_SetString(PyExc_ValueError,
                            "a thread of the sandbox was interrupted in the middle of its work, which is no state for "
                            "others to go on from: call a function that waits for its threads first");
            return NULL;
        }
    }
    char *words;
    struct stood *rows = stood(self, count, &words);
    PyObject *threads = rows != NULL ? PyTuple_New(count) : PyErr_NoMemory();
    const char *from = words;
    for (uint32_t i = 0; threads != NULL && i < count; i++) {
        const struct stood *one = &rows[i];
        PyObject *row = one->size == 0 ? Py_NewRef(Py_None)
                                       : Py_BuildValue("KKy#", one->low, one->top, from, (Py_ssize_t)one->size);
        from += one->size;
        if (row == NULL) {
            Py_CLEAR(threads);
        } else {
            PyTuple_SET_ITEM(threads, i, row);
        }
    }
    free(words);
    free(rows);
    return threads;
}

PyObject *tmebox_instance_begin_threads(PyObject *object, PyObject *threads) {
    struct instance *self = (struct instance *)object;
    if (self->depth != 0) {
        return tmebox_raise_busy();
    }
    if (!PyTuple_Check(threads)) {
        PyErr_SetString(PyExc_TypeError, "begin_threads(tuple)");
        return NULL;
    }
    if (!self->has_control && PyTuple_GET_SIZE(threads) != 0) {
        PyErr_SetString(PyExc_ValueError, "the core has threads of sandboxes with control stacks only");
        return NULL;
    }
    tmebox_end_fibers(self);
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(threads); i++) {
        PyObject *row = PyTuple_GET_ITEM(threads, i);
        unsigned long long low = 0, top = 0;
        const char *words = NULL;
        Py_ssize_t size = 0;
        if (row != Py_None && !PyArg_ParseTuple(row, "KKy#:begin_threads", &low, &top, &words, &size)) {
            return NULL;
        }
        if (row != Py_None && !tmebox_restore_fiber(self, (uint32_t)i + 1, low, top, (const uint64_t *)(uintptr_t)words,
                                                    (uint64_t)size / 8)) {
            return NULL;
        }
    }
    bool has_keeper = self->fiber_count >= TMEBOX_KEEPER && self->fibers[TMEBOX_KEEPER - 1] != NULL;
    self->slices = has_keeper ? TURN_ENDS : 0; /* it says so if none need end */
    Py_RETURN_NONE;
}

PyObject *tmebox_instance_keep_words(PyObject *object, PyObject *words) {
    struct instance *self = (struct instance *)object;
    Py_buffer buffer;
    if (PyObject_GetBuffer(words, &buffer, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    size_t size = (size_t)buffer.len;
    bool fits = size % sizeof *self->kept == 0 && size <= sizeof self->kept && self->depth == 0;
    if (fits) {
        memcpy(self->kept, buffer.buf, size);
        self->kept_count = (uint32_t)(size / sizeof *self->kept);
    } else {
        PyErr_SetString(PyExc_ValueError, "four times 32 bits for each of at most 8 words, while no call runs");
    }
    PyBuffer_Release(&buffer);
    return fits ? Py_NewRef(Py_None) : NULL;
}

static PyObject *is_stack(PyObject *module, PyObject *args) {
    (void)module;
    unsigned long long low, top;
    Py_buffer words;
    if (!PyArg_ParseTuple(args, "KKy*:is_stack", &low, &top, &words)) {
        return NULL;
    }
    uint64_t *copy = PyMem_Malloc((size_t)words.len + 8);
    PyObject *result = copy == NULL ? PyErr_NoMemory() : NULL;
    if (copy != NULL) {
        memcpy(copy, words.buf, (size_t)words.len);
        result = PyBool_FromLong(words.len % 8 == 0 && tmebox_is_stack(low, top, copy, (uint64_t)words.len / 8));
        PyMem_Free(copy);
    }
    PyBuffer_Release(&words);
    return result;
}

PyMethodDef tmebox_stack_methods[] = {
    {"is_stack", is_stack, METH_VARARGS,
     "is_stack(low, top, words) -> bool\n\nWhether begin_threads() takes that for what a thread's stack holds."},
    {NULL, NULL, 0, NULL},
};
