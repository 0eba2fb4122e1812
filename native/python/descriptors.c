/* GuestDescriptors: the table by which the core moves bytes without Python. Python fills it in. */
#include "python/face.h"

#include "enter/datapath.h"

#include <stdlib.h>
#include <string.h>

#define WRITES_ARE_PYTHONS UINT64_MAX /* `begun`, where the core has not begun anything */

static int grow(struct guest_descriptors *self, uint32_t count) {
    struct guest_descriptor *rows = PyMem_Realloc(self->rows, count * sizeof *rows);
    if (rows == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (uint32_t i = self->count; i < count; i++) {
        rows[i] = (struct guest_descriptor){.host = -1};
    }
    self->rows = rows;
    self->count = count;
    self->fresh = self->measured = NULL;
    return 0;
}

static PyObject *descriptors_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    static char *names[] = {"host_clock", NULL};
    int host_clock = 0;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "|p:GuestDescriptors", names, &host_clock)) {
        return NULL;
    }
    struct guest_descriptors *self = (struct guest_descriptors *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->host_clock = host_clock;
    }
    return (PyObject *)self;
}

/* The row is whole before and after: what its former owner's end runs finds the new one. */
static void replace(struct guest_descriptors *self, struct guest_descriptor *row, struct guest_descriptor with) {
    PyObject *former = row->owner;
    self->measured = NULL;
    tmebox_guest_release(self, row);
    *row = with;
    Py_XDECREF(former);
}

static PyObject *descriptors_set(PyObject *object, PyObject *args) {
    struct guest_descriptors *self = (struct guest_descriptors *)object;
    PyObject *owner;
    unsigned int number, flags, mount;
    int host;
    unsigned long long limit;
    if (!PyArg_ParseTuple(args, "IOiIKI:set", &number, &owner, &host, &flags, &limit, &mount)) {
        return NULL;
    }
    if (number >= GUEST_DESCRIPTORS || host < 0 || flags == 0 || flags & (GUEST_NEW | GUEST_HIDDEN)) {
        PyErr_Format(PyExc_ValueError, "descriptor %u, %d on the host", number, host);
        return NULL;
    }
    if (number >= self->count && grow(self, (number | 15) + 1) < 0) {
        return NULL;
    }
    replace(self, &self->rows[number],
            (struct guest_descriptor){
                .owner = Py_NewRef(owner), .host = host, .flags = flags, .limit = limit, .mount = mount});
    Py_RETURN_NONE;
}

static PyObject *descriptors_hide(PyObject *object, PyObject *argument) {
    struct guest_descriptors *self = (struct guest_descriptors *)object;
    unsigned long number = PyLong_AsUnsignedLong(argument);
    if (number == (unsigned long)-1 && PyErr_Occurred()) {
        return NULL;
    }
    if (number >= GUEST_DESCRIPTORS) {
        return PyErr_Format(PyExc_ValueError, "descriptor %lu", number);
    }
    if (number >= self->count && grow(self, ((uint32_t)number | 15) + 1) < 0) {
        return NULL;
    }
    replace(self, &self->rows[number], (struct guest_descriptor){.host = -1, .flags = GUEST_HIDDEN});
    Py_RETURN_NONE;
}

/* What the core has opened: a list of (number, is a file, host, flags, mount, status, position). */
static PyObject *descriptors_news(PyObject *object, PyObject *ignored) {
    struct guest_descriptors *self = (struct guest_descriptors *)object;
    (void)ignored;
    PyObject *found = PyList_New(0);
    for (uint32_t i = 0; found != NULL && self->news != 0 && i < self->count; i++) {
        const struct guest_descriptor *row = &self->rows[i];
        if (row->flags & GUEST_NEW) {
            PyObject *item = Py_BuildValue("(INiIIIL)", i, PyBool_FromLong(row->file != NULL), row->host, row->flags,
                                           row->mount, row->status, (long long)row->position);
            if (item == NULL || PyList_Append(found, item) < 0) {
                Py_CLEAR(found);
            }
            Py_XDECREF(item);
        }
    }
    return found;
}

/* A new connection's descriptor, which is the caller's from now on. */
static PyObject *descriptors_give(PyObject *object, PyObject *argument) {
    struct guest_descriptors *self = (struct guest_descriptors *)object;
    unsigned long number = PyLong_AsUnsignedLong(argument);
    if (number == (unsigned long)-1 && PyErr_Occurred()) {
        return NULL;
    }
    if (number >= self->count || !(self->rows[number].flags & GUEST_NEW) || self->rows[number].file != NULL) {
        return PyErr_Format(PyExc_ValueError, "descriptor %lu is no new connection", number);
    }
    PyObject *host = PyLong_FromLong(self->rows[number].host);
    if (host != NULL) {
        self->rows[number] = (struct guest_descriptor){.host = -1, .flags = GUEST_HIDDEN};
        self->news--;
        atomic_fetch_sub_explicit(&tmebox_open_descriptors, 1, memory_order_relaxed);
    }
    return host;
}

static void drop_grants(struct guest_descriptors *self) {
    for (uint32_t i = 0; i < self->grant_count; i++) {
        free(self->grants[i].path);
    }
    free(self->grants);
    self->grants = NULL;
    self->grant_count = 0;
}

/* begin(limit, grants) */
static PyObject *descriptors_begin(PyObject *object, PyObject *args) {
    struct guest_descriptors *self = (struct guest_descriptors *)object;
    unsigned int limit;
    PyObject *given;
    if (!PyArg_ParseTuple(args, "IO!:begin", &limit, &PyTuple_Type, &given)) {
        return NULL;
    }
    Py_ssize_t count = PyTuple_GET_SIZE(given);
    drop_grants(self);
    tmebox_look_at_limit();
    self->limit = limit < GUEST_DESCRIPTORS ? limit : GUEST_DESCRIPTORS;
    self->grants = calloc((size_t)count + 1, sizeof *self->grants);
    if (self->grants == NULL) {
        return PyErr_NoMemory();
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        const char *path;
        Py_ssize_t length;
        unsigned int mount;
        int host, plain;
        if (!PyArg_ParseTuple(PyTuple_GET_ITEM(given, i), "y#iIp", &path, &length, &host, &mount, &plain)) {
            drop_grants(self);
            return NULL;
        }
        char *kept = strndup(path, (size_t)length);
        if (kept == NULL) {
            drop_grants(self);
            return PyErr_NoMemory();
        }
        self->grants[self->grant_count++] =
            (struct guest_grant){kept, (uint32_t)strlen(kept), mount, host, plain != 0};
    }
    Py_RETURN_NONE;
}

/* end() */
static PyObject *descriptors_end(PyObject *object, PyObject *ignored) {
    struct guest_descriptors *self = (struct guest_descriptors *)object;
    (void)ignored;
    drop_grants(self);
    for (uint32_t i = 0; i < self->count; i++) {
        if (self->rows[i].flags != 0) {
            replace(self, &self->rows[i], (struct guest_descriptor){.host = -1});
        }
    }
    tmebox_guest_forget_files(self);
    Py_RETURN_NONE;
}

static PyObject *descriptors_clear(PyObject *object, PyObject *argument) {
    struct guest_descriptors *self = (struct guest_descriptors *)object;
    unsigned long number = PyLong_AsUnsignedLong(argument);
    if (number == (unsigned long)-1 && PyErr_Occurred()) {
        return NULL;
    }
    if (number < self->count) {
        replace(self, &self->rows[number], (struct guest_descriptor){.host = -1});
    }
    Py_RETURN_NONE;
}

/* Another write may come before the one that was begun is asked for again: of a handler, or of another thread. */
static PyObject *descriptors_take_begun(PyObject *object, PyObject *argument) {
    struct guest_descriptors *self = (struct guest_descriptors *)object;
    unsigned long number = PyLong_AsUnsignedLong(argument);
    if (number == (unsigned long)-1 && PyErr_Occurred()) {
        return NULL;
    }
    uint64_t begun = 0;
    struct guest_descriptor *row = number < self->count ? &self->rows[number] : NULL;
    if (row != NULL && row->begun == WRITES_ARE_PYTHONS) {
        row->begun = 0;
    } else if (row != NULL && row->begun_from.at == self->asked.at && row->begun_from.size == self->asked.size) {
        begun = row->begun;
        row->begun = 0;
    }
    return PyLong_FromUnsignedLongLong(begun);
}

static PyObject *descriptors_keep_writes(PyObject *object, PyObject *argument) {
    struct guest_descriptors *self = (struct guest_descriptors *)object;
    unsigned long number = PyLong_AsUnsignedLong(argument);
    if (number == (unsigned long)-1 && PyErr_Occurred()) {
        return NULL;
    }
    if (number < self->count && self->rows[number].begun == 0) {
        self->rows[number].begun = WRITES_ARE_PYTHONS;
    }
    Py_RETURN_NONE;
}

static PyObject *descriptors_answered(PyObject *object, void *unused) {
    (void)unused;
    return PyLong_FromUnsignedLongLong(((struct guest_descriptors *)object)->answered);
}

static PyObject *descriptors_count(PyObject *object, PyObject *unused) {
    struct guest_descriptors *self = (struct guest_descriptors *)object;
    (void)unused;
    if (self->counts == NULL && (self->counts = calloc(GUEST_CALLS, sizeof *self->counts)) == NULL) {
        return PyErr_NoMemory();
    }
    Py_RETURN_NONE;
}

static PyObject *descriptors_counts(PyObject *object, void *unused) {
    struct guest_descriptors *self = (struct guest_descriptors *)object;
    (void)unused;
    PyObject *found = PyDict_New();
    for (unsigned long number = 0; found != NULL && self->counts != NULL && number < GUEST_CALLS; number++) {
        if (self->counts[number] == 0) {
            continue;
        }
        PyObject *key = PyLong_FromUnsignedLong(number);
        PyObject *count = PyLong_FromUnsignedLongLong(self->counts[number]);
        if (key == NULL || count == NULL || PyDict_SetItem(found, key, count) < 0) {
            Py_CLEAR(found);
        }
        Py_XDECREF(key);
        Py_XDECREF(count);
    }
    return found;
}

static PyObject *descriptors_has_news(PyObject *object, void *unused) {
    (void)unused;
    return PyBool_FromLong(((struct guest_descriptors *)object)->news != 0);
}

static int descriptors_traverse(PyObject *object, visitproc visit, void *arg) {
    struct guest_descriptors *self = (struct guest_descriptors *)object;
    for (uint32_t i = 0; i < self->count; i++) {
        Py_VISIT(self->rows[i].owner);
    }
    return 0;
}

static int descriptors_forget(PyObject *object) {
    struct guest_descriptors *self = (struct guest_descriptors *)object;
    for (uint32_t i = 0; i < self->count; i++) {
        replace(self, &self->rows[i], (struct guest_descriptor){.host = -1});
    }
    return 0;
}

static void descriptors_dealloc(PyObject *object) {
    PyObject_GC_UnTrack(object);
    descriptors_forget(object);
    drop_grants((struct guest_descriptors *)object);
    tmebox_guest_forget_files((struct guest_descriptors *)object);
    free(((struct guest_descriptors *)object)->counts);
    PyMem_Free(((struct guest_descriptors *)object)->rows);
    Py_TYPE(object)->tp_free(object);
}

static PyMethodDef descriptors_methods[] = {
    {"set", descriptors_set, METH_VARARGS,
     "set(number, owner, host, flags, limit, mount)\n\nThe owner keeps the host's descriptor open."},
    {"hide", descriptors_hide, METH_O, "hide(number)\n\nIt is in use, and for Python to answer."},
    {"clear", descriptors_clear, METH_O, "clear(number)\n\nIt is not in use."},
    {"news", descriptors_news, METH_NOARGS, "news() -> list\n\nWhat the core has opened by itself."},
    {"give", descriptors_give, METH_O, "give(number) -> int\n\nA new connection, to be closed by the caller."},
    {"begin", descriptors_begin, METH_VARARGS, "begin(limit, grants)\n\nWhat the core may open by itself."},
    {"end", descriptors_end, METH_NOARGS,
     "end()\n\nNo number is in use, and nothing granted. Closes what only the core has open."},
    {"take_begun", descriptors_take_begun, METH_O,
     "take_begun(number) -> bytes\n\nOf the write that is asked for, how much is done; 0 from now on."},
    {"keep_writes", descriptors_keep_writes, METH_O, "keep_writes(number)\n\nThe next write is Python's."},
    {"count", descriptors_count, METH_NOARGS, "count()\n\nFrom now on, calls are counted."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef descriptors_properties[] = {
    {"has_news", descriptors_has_news, NULL, "Whether news() has something to tell.", NULL},
    {"counts", descriptors_counts, NULL, "How often the core has answered which call, by its number.", NULL},
    {"answered", descriptors_answered, NULL, "Waits for events that found some.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyTypeObject tmebox_guest_descriptors_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "tmebox._native.GuestDescriptors",
    .tp_doc = "GuestDescriptors(host_clock=False)\n\nWhat the core may do with a guest's descriptors by itself.",
    .tp_basicsize = sizeof(struct guest_descriptors),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = descriptors_new,
    .tp_dealloc = descriptors_dealloc,
    .tp_traverse = descriptors_traverse,
    .tp_clear = descriptors_forget,
    .tp_methods = descriptors_methods,
    .tp_getset = descriptors_properties,
};
