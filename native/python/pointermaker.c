/* PointerMaker: makes typed pointers of one type. What does not change from one to the next is worked out once. */
#include "python/face.h"

#include <structmember.h>

struct maker {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    PyTypeObject *type; /* of pointers */
    PyObject *kind;     /* an interned str, or None */
    PyObject *target;
    struct instance *instance; /* NULL: calls say which sandbox */
    PyObject *space;
};

static PyTypeObject maker_type;

PyObject *tmebox_make_pointer(PyObject *object, struct instance *instance, PyObject *space, uint64_t offset,
                              PyObject *count, PyObject *keeps) {
    const struct maker *maker = (const struct maker *)object;
    instance = maker->instance != NULL ? maker->instance : instance;
    space = maker->instance != NULL ? maker->space : space;
    if (offset == 0) {
        Py_RETURN_NONE;
    }
    if (offset >= TMEBOX_WINDOW_SIZE || instance == NULL || maker->target == NULL) {
        PyErr_SetString(PyExc_ValueError, "not an offset in a window");
        return NULL;
    }
    struct pointer *made = (struct pointer *)maker->type->tp_alloc(maker->type, 0);
    if (made != NULL) {
        made->instance = (struct instance *)Py_NewRef((PyObject *)instance);
        made->offset = offset;
        made->kind = Py_NewRef(maker->kind);
        made->space = Py_NewRef(space);
        made->target = Py_NewRef(maker->target);
        made->count = Py_NewRef(count);
        made->keeps = Py_NewRef(keeps);
    }
    return (PyObject *)made;
}

/* A void * may be a handle, which is passed back as it came: its upper half is never zero, an offset's is. */
PyObject *tmebox_make_result(PyObject *object, struct instance *instance, PyObject *space, uint64_t word) {
    const struct maker *maker = (const struct maker *)object;
    if (UNLIKELY(word >> 32 != 0) && maker->kind == Py_None && instance->handles != NULL) {
        PyObject *key = PyLong_FromUnsignedLongLong(word);
        PyObject *found = key != NULL ? Py_XNewRef(PyDict_GetItemWithError(instance->handles, key)) : NULL;
        Py_XDECREF(key);
        if (found != NULL || PyErr_Occurred()) {
            return found;
        }
    }
    return tmebox_make_pointer(object, instance, space, (uint32_t)word, Py_None, Py_None);
}

bool tmebox_is_pointer_maker(PyObject *object) {
    return Py_IS_TYPE(object, &maker_type);
}

static PyObject *maker_call(PyObject *object, PyObject *const *args, size_t nargsf, PyObject *keywords) {
    const struct maker *self = (const struct maker *)object;
    Py_ssize_t count = PyVectorcall_NARGS(nargsf);
    bool bound = self->instance != NULL;
    if (keywords != NULL || (bound ? count != 1 : count < 3 || count > 5) ||
        (!bound && !Py_IS_TYPE(args[0], &tmebox_instance_type))) {
        PyErr_SetString(PyExc_TypeError, "call it with an offset if it has an instance, else with "
                                         "(instance, space, offset[, count[, keeps]])");
        return NULL;
    }
    unsigned long long offset = PyLong_AsUnsignedLongLong(args[bound ? 0 : 2]);
    if (offset == (unsigned long long)-1 && PyErr_Occurred()) {
        return NULL;
    }
    struct instance *instance = bound ? NULL : (struct instance *)args[0];
    return tmebox_make_pointer(object, instance, bound ? NULL : args[1], offset, count > 3 ? args[3] : Py_None,
                               count > 4 ? args[4] : Py_None);
}

static PyObject *maker_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    (void)keywords;
    PyObject *made, *kind, *target, *instance = NULL, *space = NULL;
    if (!PyArg_ParseTuple(args, "O!OO|O!O:PointerMaker", &PyType_Type, &made, &kind, &target, &tmebox_instance_type,
                          &instance, &space)) {
        return NULL;
    }
    if (!PyType_IsSubtype((PyTypeObject *)made, &tmebox_pointer_type) || (kind != Py_None && !PyUnicode_CheckExact(kind)) ||
        (instance == NULL) != (space == NULL)) {
        PyErr_SetString(PyExc_TypeError, "PointerMaker(a type of pointers, a str or None, target[, instance, space])");
        return NULL;
    }
    struct maker *self = (struct maker *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->vectorcall = maker_call;
        self->type = (PyTypeObject *)Py_NewRef(made);
        self->kind = Py_NewRef(kind);
        if (kind != Py_None) {
            PyUnicode_InternInPlace(&self->kind);
        }
        self->target = Py_NewRef(target);
        self->instance = (struct instance *)Py_XNewRef(instance);
        self->space = Py_XNewRef(space);
    }
    return (PyObject *)self;
}

static int maker_traverse(PyObject *object, visitproc visit, void *arg) {
    struct maker *self = (struct maker *)object;
    Py_VISIT(self->type);
    Py_VISIT(self->target);
    Py_VISIT(self->instance);
    Py_VISIT(self->space);
    return 0;
}

/* Cycles go through an instance, which breaks them: a maker that can still be called stays whole. */
static void maker_dealloc(PyObject *object) {
    struct maker *self = (struct maker *)object;
    PyObject_GC_UnTrack(object);
    Py_XDECREF((PyObject *)self->type);
    Py_XDECREF(self->kind);
    Py_XDECREF(self->target);
    Py_XDECREF((PyObject *)self->instance);
    Py_XDECREF(self->space);
    Py_TYPE(object)->tp_free(object);
}

static PyTypeObject maker_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "tmebox._native.PointerMaker",
    .tp_doc = "PointerMaker(type, kind, target[, instance, space])\n\nMakes pointers of offsets, and None of 0.",
    .tp_basicsize = sizeof(struct maker),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL,
    .tp_new = maker_new,
    .tp_dealloc = maker_dealloc,
    .tp_traverse = maker_traverse,
    .tp_call = PyVectorcall_Call,
    .tp_vectorcall_offset = offsetof(struct maker, vectorcall),
};

int tmebox_init_pointer_makers(PyObject *module) {
    return PyModule_AddType(module, &maker_type);
}
