/* Region: a piece of host memory as a Python buffer. Whoever unmaps it must look at `exports` first. */
#include "python/face.h"

struct region {
    PyObject_HEAD
    char *address;
    Py_ssize_t size_bytes;
    Py_ssize_t exports;
    PyObject *owner;
    PyObject *weak;
    bool writable;
};

static int region_init(PyObject *object, PyObject *args, PyObject *keywords) {
    static char *names[] = {"address", "size_bytes", "owner", "writable", NULL};
    struct region *self = (struct region *)object;
    unsigned long long address;
    Py_ssize_t size_bytes;
    PyObject *owner;
    int writable;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "KnOp:Region", names, &address, &size_bytes, &owner,
                                     &writable)) {
        return -1;
    }
    if (size_bytes < 0 || address + (unsigned long long)size_bytes < address) {
        PyErr_SetString(PyExc_ValueError, "an impossible address range");
        return -1;
    }
    if (self->exports != 0) {
        PyErr_SetString(PyExc_BufferError, "the region has exported buffers");
        return -1;
    }
    self->address = (char *)address;
    self->size_bytes = size_bytes;
    self->writable = writable;
    Py_INCREF(owner);
    Py_XSETREF(self->owner, owner);
    return 0;
}

static int region_get_buffer(PyObject *object, Py_buffer *view, int flags) {
    struct region *self = (struct region *)object;
    if (PyBuffer_FillInfo(view, object, self->address, self->size_bytes, !self->writable, flags) < 0) {
        return -1;
    }
    self->exports++;
    return 0;
}

static void region_release_buffer(PyObject *object, Py_buffer *view) {
    (void)view;
    ((struct region *)object)->exports--;
}

static int region_traverse(PyObject *object, visitproc visit, void *arg) {
    Py_VISIT(((struct region *)object)->owner);
    return 0;
}

static int region_clear(PyObject *object) {
    struct region *self = (struct region *)object;
    if (self->exports == 0) { /* the owner keeps the memory mapped */
        self->address = NULL; /* nobody gets a buffer of what may be unmapped now */
        self->size_bytes = 0;
        Py_CLEAR(self->owner);
    }
    return 0;
}

static void region_dealloc(PyObject *object) {
    struct region *self = (struct region *)object;
    PyObject_GC_UnTrack(object);
    if (self->weak != NULL) {
        PyObject_ClearWeakRefs(object);
    }
    Py_CLEAR(self->owner);
    Py_TYPE(object)->tp_free(object);
}

static PyBufferProcs region_buffer = {region_get_buffer, region_release_buffer};

static PyMemberDef region_members[] = {
    {"exports", T_PYSSIZET, offsetof(struct region, exports), READONLY, "Buffers that are out."},
    {NULL, 0, 0, 0, NULL},
};

PyTypeObject tmebox_region_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "tmebox._native.Region",
    .tp_doc = "Region(address, size_bytes, owner, writable)\n\nHost memory as a buffer of unsigned bytes.",
    .tp_basicsize = sizeof(struct region),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = PyType_GenericNew,
    .tp_init = region_init,
    .tp_dealloc = region_dealloc,
    .tp_traverse = region_traverse,
    .tp_clear = region_clear,
    .tp_as_buffer = &region_buffer,
    .tp_members = region_members,
    .tp_weaklistoffset = offsetof(struct region, weak),
};
