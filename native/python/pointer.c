/* Pointer: a typed place in one sandbox's memory, which functions take for a pointer of its type without asking
 * Python. What it means beyond that is in runtime/typed/. */
#include "python/face.h"

#include <structmember.h>

static PyObject *pointer_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    (void)keywords;
    PyObject *instance, *kind, *space = NULL, *target = NULL, *count = NULL, *keeps = NULL;
    Py_ssize_t offset;
    if (!PyArg_ParseTuple(args, "O!nO|OOOO:Pointer", &tmebox_instance_type, &instance, &offset, &kind, &space,
                          &target, &count, &keeps)) {
        return NULL;
    }
    if ((uint64_t)offset >= TMEBOX_WINDOW_SIZE || (kind != Py_None && !PyUnicode_CheckExact(kind))) {
        PyErr_SetString(PyExc_ValueError, "Pointer(instance, an offset in a window, a str or None)");
        return NULL;
    }
    struct pointer *self = (struct pointer *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->instance = (struct instance *)Py_NewRef(instance);
        self->offset = (uint64_t)offset;
        self->kind = Py_NewRef(kind);
        self->space = Py_XNewRef(space);
        self->target = Py_XNewRef(target);
        self->count = Py_XNewRef(count);
        self->keeps = Py_XNewRef(keeps);
        if (kind != Py_None) { /* kinds are compared by where they are */
            PyUnicode_InternInPlace(&self->kind);
        }
    }
    return (PyObject *)self;
}

bool tmebox_pointer_to_word(PyObject *value, const struct instance *instance, const PyObject *kind, uint64_t *word) {
    const struct pointer *pointer = (const struct pointer *)value;
    *word = pointer->offset;
    return !pointer->freed && pointer->instance == instance && (kind == NULL || kind == pointer->kind);
}

static int pointer_traverse(PyObject *object, visitproc visit, void *arg) {
    struct pointer *self = (struct pointer *)object;
    Py_VISIT(self->instance);
    Py_VISIT(self->space);
    Py_VISIT(self->target);
    Py_VISIT(self->count);
    Py_VISIT(self->keeps);
    return 0;
}

/* What functions take of it stays. */
static int pointer_clear(PyObject *object) {
    struct pointer *self = (struct pointer *)object;
    Py_CLEAR(self->space);
    Py_CLEAR(self->target);
    Py_CLEAR(self->count);
    Py_CLEAR(self->keeps);
    return 0;
}

static void pointer_dealloc(PyObject *object) {
    struct pointer *self = (struct pointer *)object;
    PyObject_GC_UnTrack(object);
    pointer_clear(object);
    Py_XDECREF(self->instance);
    Py_XDECREF(self->kind);
    Py_TYPE(object)->tp_free(object);
}

static PyMemberDef pointer_members[] = {
    {"offset", T_ULONGLONG, offsetof(struct pointer, offset), READONLY, "Where it is in the sandbox's window."},
    {"kind", T_OBJECT, offsetof(struct pointer, kind), READONLY, "What it points to, for comparisons."},
    {"instance", T_OBJECT, offsetof(struct pointer, instance), READONLY, "Whose memory it is in."},
    {"freed", T_BOOL, offsetof(struct pointer, freed), 0, "Nothing is there any more."},
    /* The same where members of a struct may have those names. */
    {"_offset", T_ULONGLONG, offsetof(struct pointer, offset), READONLY, NULL},
    {"_kind", T_OBJECT, offsetof(struct pointer, kind), READONLY, NULL},
    {"_instance", T_OBJECT, offsetof(struct pointer, instance), READONLY, NULL},
    {"_freed", T_BOOL, offsetof(struct pointer, freed), 0, NULL},
    {"_space", T_OBJECT_EX, offsetof(struct pointer, space), READONLY, NULL},
    {"_target", T_OBJECT_EX, offsetof(struct pointer, target), READONLY, NULL},
    {"_count", T_OBJECT, offsetof(struct pointer, count), READONLY, NULL},
    {"_keeps", T_OBJECT, offsetof(struct pointer, keeps), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyTypeObject tmebox_pointer_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "tmebox._native.Pointer",
    .tp_doc = "Pointer(instance, offset, kind[, space[, target[, count[, keeps]]]])\n\nA typed place in a sandbox's memory.",
    .tp_basicsize = sizeof(struct pointer),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .tp_new = pointer_new,
    .tp_dealloc = pointer_dealloc,
    .tp_traverse = pointer_traverse,
    .tp_clear = pointer_clear,
    .tp_members = pointer_members,
};
