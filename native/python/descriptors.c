/* GuestDescriptors: the table by which the core moves bytes without Python. Python fills it in. */
#include "python/face.h"

#include "enter/datapath.h"

static int grow(struct guest_descriptors *self, uint32_t count) {
    struct guest_descriptor *rows = PyMem_Realloc(self->rows, count * sizeof *rows);
    if (rows == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (uint32_t i = self->count; i < count; i++) {
        rows[i] = (struct guest_descriptor){NULL, -1, 0, 0, 0};
    }
    self->rows = rows;
    self->count = count;
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
static void replace(struct guest_descriptor *row, struct guest_descriptor with) {
    PyObject *former = row->owner;
    *row = with;
    Py_XDECREF(former);
}

static PyObject *descriptors_set(PyObject *object, PyObject *args) {
    struct guest_descriptors *self = (struct guest_descriptors *)object;
    PyObject *owner;
    unsigned int number, flags;
    int host;
    unsigned long long limit;
    if (!PyArg_ParseTuple(args, "IOiIK:set", &number, &owner, &host, &flags, &limit)) {
        return NULL;
    }
    if (number >= GUEST_DESCRIPTORS || host < 0) {
        PyErr_Format(PyExc_ValueError, "descriptor %u, %d on the host", number, host);
        return NULL;
    }
    if (number >= self->count && grow(self, (number | 15) + 1) < 0) {
        return NULL;
    }
    replace(&self->rows[number], (struct guest_descriptor){Py_NewRef(owner), host, flags, limit, 0});
    Py_RETURN_NONE;
}

static PyObject *descriptors_clear(PyObject *object, PyObject *argument) {
    struct guest_descriptors *self = (struct guest_descriptors *)object;
    unsigned long number = PyLong_AsUnsignedLong(argument);
    if (number == (unsigned long)-1 && PyErr_Occurred()) {
        return NULL;
    }
    if (number < self->count) {
        replace(&self->rows[number], (struct guest_descriptor){NULL, -1, 0, 0, 0});
    }
    Py_RETURN_NONE;
}

static PyObject *descriptors_take_begun(PyObject *object, PyObject *argument) {
    struct guest_descriptors *self = (struct guest_descriptors *)object;
    unsigned long number = PyLong_AsUnsignedLong(argument);
    if (number == (unsigned long)-1 && PyErr_Occurred()) {
        return NULL;
    }
    uint64_t begun = 0;
    if (number < self->count) {
        begun = self->rows[number].begun;
        self->rows[number].begun = 0;
    }
    return PyLong_FromUnsignedLongLong(begun);
}

static PyObject *descriptors_set_begun(PyObject *object, PyObject *args) {
    struct guest_descriptors *self = (struct guest_descriptors *)object;
    unsigned int number;
    unsigned long long begun;
    if (!PyArg_ParseTuple(args, "IK:set_begun", &number, &begun)) {
        return NULL;
    }
    if (number < self->count) {
        self->rows[number].begun = begun;
    }
    Py_RETURN_NONE;
}

static PyObject *descriptors_answered(PyObject *object, void *unused) {
    (void)unused;
    return PyLong_FromUnsignedLongLong(((struct guest_descriptors *)object)->answered);
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
        replace(&self->rows[i], (struct guest_descriptor){NULL, -1, 0, 0, 0});
    }
    return 0;
}

static void descriptors_dealloc(PyObject *object) {
    PyObject_GC_UnTrack(object);
    descriptors_forget(object);
    PyMem_Free(((struct guest_descriptors *)object)->rows);
    Py_TYPE(object)->tp_free(object);
}

static PyMethodDef descriptors_methods[] = {
    {"set", descriptors_set, METH_VARARGS,
     "set(number, owner, host, flags, limit)\n\nThe owner keeps the host's descriptor open."},
    {"clear", descriptors_clear, METH_O, "clear(number)\n\nIt is for Python to answer."},
    {"take_begun", descriptors_take_begun, METH_O,
     "take_begun(number) -> bytes\n\nOf the write that is asked for, how much is done; 0 from now on."},
    {"set_begun", descriptors_set_begun, METH_VARARGS, "set_begun(number, bytes)\n\nThe next write is Python's."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef descriptors_properties[] = {
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
