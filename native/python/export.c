/* Export: what the functions that one C function makes, in all sandboxes, have in common; and Function, one of them. */
#include "python/function.h"

#include <string.h>

/* Of the result, then of each parameter. */
static void fill_by_value(struct by_value *by_value, PyObject *result_layout, PyObject *layouts) {
    memset(by_value, 0, (1 + MAX_ARGUMENTS) * sizeof *by_value);
    if (result_layout != NULL && tmebox_is_struct_layout(result_layout)) {
        by_value[0] = tmebox_struct_passing(result_layout);
    }
    for (Py_ssize_t i = 0; layouts != NULL && i < PyTuple_GET_SIZE(layouts) && i < MAX_ARGUMENTS; i++) {
        if (tmebox_is_struct_layout(PyTuple_GET_ITEM(layouts, i))) {
            by_value[1 + i] = tmebox_struct_passing(PyTuple_GET_ITEM(layouts, i));
        }
    }
}

static vectorcallfunc way_to_call(const struct signature *signature) {
    bool integers = signature->vector_count == 0 && signature->stack_count == 0;
    return signature->pointers ? tmebox_call_pointers : integers ? tmebox_call_integers : tmebox_call_numbers;
}

static PyObject *export_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    static char *names[] = {"address", "name", "arguments", "result", "slow", "attributes", "items", "kinds", "finish",
                            "layouts", "result_layout", NULL};
    PyObject *name, *slow, *attributes, *kinds = NULL, *finish = NULL, *layouts = NULL, *result_layout = NULL;
    const char *arguments, *result, *items = "";
    unsigned long long address;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "KUzzOO!|sO!OO!O:Export", names, &address, &name, &arguments,
                                     &result, &slow, &PyDict_Type, &attributes, &items, &PyTuple_Type, &kinds,
                                     &finish, &PyTuple_Type, &layouts, &result_layout)) {
        return NULL;
    }
    if (address < TMEBOX_CODE_BASE || address >= TMEBOX_GATE_BASE) {
        PyErr_SetString(PyExc_ValueError, "not an address of sandboxed code");
        return NULL;
    }
    if (!PyCallable_Check(slow)) {
        PyErr_SetString(PyExc_TypeError, "slow must be callable");
        return NULL;
    }
    if (finish != NULL && finish != Py_None && !tmebox_is_pointer_maker(finish)) {
        PyErr_SetString(PyExc_TypeError, "finish is a PointerMaker");
        return NULL;
    }
    struct export *self = (struct export *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->address = address;
    self->name = Py_NewRef(name);
    self->slow = Py_NewRef(slow);
    self->attributes = Py_NewRef(attributes);
    self->kinds = Py_XNewRef(kinds);
    self->layouts = Py_XNewRef(layouts);
    self->result_layout = result_layout != Py_None ? Py_XNewRef(result_layout) : NULL;
    self->finish = finish != Py_None ? Py_XNewRef(finish) : NULL;
    self->vectorcall = tmebox_call_slow;
    if (arguments != NULL && result != NULL) {
        struct by_value by_value[1 + MAX_ARGUMENTS];
        fill_by_value(by_value, self->result_layout, layouts);
        if (tmebox_parse_signature(&self->signature, arguments, result, by_value) < 0) {
            Py_DECREF(self);
            return NULL;
        }
        for (int i = 0; i < self->signature.count; i++) { /* without letters: any */
            self->signature.parameters[i].item = *items != 0 ? *items++ : ANY_ITEMS;
            PyObject *kind = kinds != NULL && i < PyTuple_GET_SIZE(kinds) ? PyTuple_GET_ITEM(kinds, i) : Py_None;
            self->signature.parameters[i].kind = PyUnicode_CheckExact(kind) && PyUnicode_CHECK_INTERNED(kind) ? kind : NULL;
            PyObject *layout = layouts != NULL && i < PyTuple_GET_SIZE(layouts) ? PyTuple_GET_ITEM(layouts, i) : Py_None;
            self->signature.parameters[i].layout = tmebox_is_struct_layout(layout) ? layout : NULL;
        }
        self->vectorcall = way_to_call(&self->signature);
    }
    return (PyObject *)self;
}

static PyObject *export_bind(PyObject *object, PyObject *const *args, Py_ssize_t count) {
    struct export *self = (struct export *)object;
    if (count != 3 || !Py_IS_TYPE(args[0], &tmebox_instance_type)) {
        PyErr_SetString(PyExc_TypeError, "bind(instance, host, owner)");
        return NULL;
    }
    struct function *function = PyObject_GC_New(struct function, &tmebox_function_type);
    if (function == NULL) {
        return NULL;
    }
    function->vectorcall = self->vectorcall;
    function->instance = (struct instance *)Py_NewRef(args[0]);
    function->export = (struct export *)Py_NewRef(object);
    function->host = Py_NewRef(args[1]);
    function->owner = args[2] != Py_None ? Py_NewRef(args[2]) : NULL;
    function->dict = NULL;
    function->weak = NULL;
    PyObject_GC_Track((PyObject *)function);
    return (PyObject *)function;
}

static int export_traverse(PyObject *object, visitproc visit, void *arg) {
    Py_VISIT(((struct export *)object)->slow);
    Py_VISIT(((struct export *)object)->attributes);
    Py_VISIT(((struct export *)object)->finish);
    return 0;
}

static void export_dealloc(PyObject *object) {
    struct export *self = (struct export *)object;
    PyObject_GC_UnTrack(object);
    Py_XDECREF(self->name);
    Py_XDECREF(self->slow);
    Py_XDECREF(self->attributes);
    Py_XDECREF(self->kinds);
    Py_XDECREF(self->layouts);
    Py_XDECREF(self->result_layout);
    Py_XDECREF(self->finish);
    Py_TYPE(object)->tp_free(object);
}

static PyMethodDef export_methods[] = {
    {"bind", (PyCFunction)(void (*)(void))export_bind, METH_FASTCALL,
     "bind(instance, host, owner) -> Function\n\nThe owner, if not None, lives as long as the function."},
    {NULL, NULL, 0, NULL},
};

PyTypeObject tmebox_export_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "tmebox._native.Export",
    .tp_doc = "Export(address, name, arguments, result, slow, attributes, items='', kinds=(), finish=None, "
              "layouts=(), result_layout=None)\n\n"
              "A function of every sandbox.",
    .tp_basicsize = sizeof(struct export),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = export_new,
    .tp_dealloc = export_dealloc,
    .tp_traverse = export_traverse,
    .tp_methods = export_methods,
};

/* -- functions ---------------------------------------------------------------------------------------- */

static PyObject *function_repr(PyObject *object) {
    const struct export *export = ((struct function *)object)->export;
    return PyUnicode_FromFormat("<sandboxed function %U at %p>", export->name, (void *)export->address);
}

static PyObject *function_name(PyObject *object, void *unused) {
    (void)unused;
    return Py_NewRef(((struct function *)object)->export->name);
}

static PyObject *function_address(PyObject *object, void *unused) {
    (void)unused;
    return PyLong_FromUnsignedLongLong(((struct function *)object)->export->address);
}

static PyObject *function_instance(PyObject *object, void *unused) {
    (void)unused;
    return Py_NewRef((PyObject *)((struct function *)object)->instance);
}

/* What the export has under the name. */
static PyObject *function_shared(PyObject *object, void *name) {
    PyObject *found = PyDict_GetItemString(((struct function *)object)->export->attributes, name);
    return Py_NewRef(found != NULL ? found : Py_None);
}

static int function_traverse(PyObject *object, visitproc visit, void *arg) {
    struct function *self = (struct function *)object;
    Py_VISIT(self->instance);
    Py_VISIT(self->export);
    Py_VISIT(self->host);
    Py_VISIT(self->owner);
    Py_VISIT(self->dict);
    return 0;
}

/* A function that can still be called must be able to: what it needs for that stays. Cycles break at the
 * owner, the dict and the instance. */
static int function_clear(PyObject *object) {
    Py_CLEAR(((struct function *)object)->owner);
    Py_CLEAR(((struct function *)object)->dict);
    return 0;
}

static void function_dealloc(PyObject *object) {
    struct function *self = (struct function *)object;
    PyObject_GC_UnTrack(object);
    if (self->weak != NULL) {
        PyObject_ClearWeakRefs(object);
    }
    Py_XDECREF(self->instance);
    Py_XDECREF(self->export);
    Py_XDECREF(self->host);
    Py_XDECREF(self->owner);
    Py_XDECREF(self->dict);
    Py_TYPE(object)->tp_free(object);
}

static PyObject *function_reduce(PyObject *object, PyObject *protocol) {
    (void)protocol;
    PyErr_Format(PyExc_TypeError,
                 "%U() is a function of one sandbox, which is not copied or pickled: name it, and get it from a "
                 "sandbox where it is called",
                 ((struct function *)object)->export->name);
    return NULL;
}

static PyMethodDef function_methods[] = {
    {"__reduce_ex__", function_reduce, METH_O, "Refused."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef function_properties[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {"__name__", function_name, NULL, NULL, NULL},
    {"__qualname__", function_name, NULL, NULL, NULL},
    {"__doc__", function_shared, NULL, NULL, "__doc__"},
    {"__signature__", function_shared, NULL, NULL, "__signature__"},
    {"prototype", function_shared, NULL, NULL, "prototype"},
    {"address", function_address, NULL, "Host address of its code.", NULL},
    {"instance", function_instance, NULL, "Whose function it is.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyTypeObject tmebox_function_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "tmebox._native.Function",
    .tp_basicsize = sizeof(struct function),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL |
                Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_dealloc = function_dealloc,
    .tp_traverse = function_traverse,
    .tp_clear = function_clear,
    .tp_repr = function_repr,
    .tp_call = PyVectorcall_Call,
    .tp_methods = function_methods,
    .tp_getset = function_properties,
    .tp_vectorcall_offset = offsetof(struct function, vectorcall),
    .tp_dictoffset = offsetof(struct function, dict),
    .tp_weaklistoffset = offsetof(struct function, weak),
};

bool tmebox_is_plain(PyObject *object) {
    if (!Py_IS_TYPE(object, &tmebox_function_type)) {
        return false;
    }
    const struct export *export = ((struct function *)object)->export;
    return export->vectorcall == tmebox_call_integers && export->signature.count == 0 &&
           export->signature.result == 'v';
}
