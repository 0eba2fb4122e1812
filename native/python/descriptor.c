/* Descriptor: a file descriptor that is closed when its object goes. A finalizer in Python could be interrupted by a
 * signal handler that raises, and nobody would close it then. */
#include "python/face.h"

#include "enter/datapath.h"

#include <unistd.h>

struct descriptor {
    PyObject_HEAD
    int number; /* -1: closed */
    bool counted;
};

static PyObject *descriptor_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    static char *names[] = {"number", "counted", NULL};
    int number, is_counted = 0;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "i|p:Descriptor", names, &number, &is_counted)) {
        return NULL;
    }
    struct descriptor *self = (struct descriptor *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->number = number;
        self->counted = is_counted;
        atomic_fetch_add_explicit(&tmebox_open_descriptors, is_counted, memory_order_relaxed);
    }
    return (PyObject *)self;
}

/* As os.close(), but errors are nobody's to handle: what was not written, the kernel has said before. */
static void close_it(struct descriptor *self) {
    int number = self->number;
    self->number = -1;
    if (number >= 0) {
        atomic_fetch_sub_explicit(&tmebox_open_descriptors, self->counted, memory_order_relaxed);
        Py_BEGIN_ALLOW_THREADS
        close(number);
        Py_END_ALLOW_THREADS
    }
}

static PyObject *descriptor_close(PyObject *object, PyObject *ignored) {
    (void)ignored;
    close_it((struct descriptor *)object);
    Py_RETURN_NONE;
}

static PyObject *descriptor_held(PyObject *type, PyObject *ignored) {
    (void)type;
    (void)ignored;
    return PyLong_FromLongLong(atomic_load(&tmebox_open_descriptors));
}

static PyObject *descriptor_number(PyObject *object, void *closure) {
    (void)closure;
    return PyLong_FromLong(((struct descriptor *)object)->number);
}

static void descriptor_dealloc(PyObject *object) {
    close_it((struct descriptor *)object);
    Py_TYPE(object)->tp_free(object);
}

static PyMethodDef descriptor_methods[] = {
    {"close", descriptor_close, METH_NOARGS, "close()\n\nIdempotent."},
    {"held", descriptor_held, METH_NOARGS | METH_CLASS, "held() -> int\n\nHow many that count are open, the core's own too."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef descriptor_properties[] = {
    {"number", descriptor_number, NULL, "The host's descriptor; -1 once it is closed.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyTypeObject tmebox_descriptor_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "tmebox._native.Descriptor",
    .tp_doc = "Descriptor(number, counted=False)\n\nOwns a file descriptor.",
    .tp_basicsize = sizeof(struct descriptor),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = descriptor_new,
    .tp_dealloc = descriptor_dealloc,
    .tp_methods = descriptor_methods,
    .tp_getset = descriptor_properties,
};
