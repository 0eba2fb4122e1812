/* StructLayout: where the members of a struct are, so that a dict or a tuple becomes a struct, and a struct a dict,
 * without asking Python. Only what converts exactly does; of all else, and of what is wrong, runtime/calls/values.py
 * knows what to say. */
#include "python/face.h"

#include <string.h>

#define MOST_MEMBERS 64
#define DEEPEST 8

struct member {
    PyObject *name; /* an interned str */
    PyObject *kind; /* of a pointer, which Pointers it takes, an interned str; or NULL */
    struct layout *inner; /* of a struct; else NULL, and code says what it is */
    uint32_t offset;
    uint32_t size;
    char code;
};

struct layout {
    PyObject_HEAD
    uint32_t size;
    uint32_t depth;
    bool flat; /* no member is a struct */
    Py_ssize_t count;
    struct member members[MOST_MEMBERS];
};

static PyTypeObject layout_type;

static void layout_dealloc(PyObject *object) {
    struct layout *self = (struct layout *)object;
    for (Py_ssize_t i = 0; i < self->count; i++) {
        Py_XDECREF(self->members[i].name);
        Py_XDECREF(self->members[i].kind);
        Py_XDECREF((PyObject *)self->members[i].inner);
    }
    Py_TYPE(object)->tp_free(object);
}

static uint32_t size_of(const struct member *member) {
    return member->inner != NULL                                    ? member->inner->size
           : strchr("bB?", member->code) != NULL                    ? 1
           : strchr("hH", member->code) != NULL                     ? 2
           : strchr("iIf", member->code) != NULL                    ? 4
                                                                    : 8;
}

static bool read_member(struct layout *self, struct member *member, PyObject *row) {
    PyObject *name, *what, *kind;
    unsigned int offset;
    if (!PyTuple_Check(row)) {
        PyErr_SetString(PyExc_TypeError, "a member is a tuple (name, code or layout, offset, kind)");
        return false;
    }
    if (!PyArg_ParseTuple(row, "UOIO:StructLayout", &name, &what, &offset, &kind)) {
        return false;
    }
    member->offset = offset;
    if (Py_IS_TYPE(what, &layout_type)) {
        member->inner = (struct layout *)Py_NewRef(what);
        self->flat = false;
        self->depth = member->inner->depth >= self->depth ? member->inner->depth + 1 : self->depth;
    } else if (PyUnicode_Check(what) && PyUnicode_GET_LENGTH(what) == 1 && PyUnicode_READ_CHAR(what, 0) < 128 &&
               PyUnicode_READ_CHAR(what, 0) != 0 && strchr("bBhHiIlL?fdpP", (int)PyUnicode_READ_CHAR(what, 0)) != NULL) {
        member->code = (char)PyUnicode_READ_CHAR(what, 0);
    }
    member->size = member->inner != NULL || member->code != 0 ? size_of(member) : 0;
    if (member->size == 0 || self->depth > DEEPEST || member->size > self->size ||
        offset > self->size - member->size || (kind != Py_None && !PyUnicode_CheckExact(kind))) {
        PyErr_SetString(PyExc_ValueError, "not a member of the struct");
        return false;
    }
    member->name = Py_NewRef(name);
    PyUnicode_InternInPlace(&member->name);
    if (kind != Py_None) {
        member->kind = Py_NewRef(kind);
        PyUnicode_InternInPlace(&member->kind);
    }
    return true;
}

static PyObject *layout_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    (void)keywords;
    unsigned int size;
    PyObject *members;
    if (!PyArg_ParseTuple(args, "IO!:StructLayout", &size, &PyTuple_Type, &members)) {
        return NULL;
    }
    if (size == 0 || size > LARGEST_STRUCT || PyTuple_GET_SIZE(members) > MOST_MEMBERS) {
        PyErr_Format(PyExc_ValueError, "a struct of 1 to %d bytes with at most %d members", LARGEST_STRUCT, MOST_MEMBERS);
        return NULL;
    }
    struct layout *self = (struct layout *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->size = size;
    self->flat = true;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(members); i++) {
        self->count = i + 1; /* what it has by then is given back, whatever happens */
        if (!read_member(self, &self->members[i], PyTuple_GET_ITEM(members, i))) {
            Py_DECREF(self);
            return NULL;
        }
    }
    return (PyObject *)self;
}

static bool put(const struct layout *layout, PyObject *value, const struct instance *instance, unsigned char *to);

static bool put_member(const struct member *member, PyObject *value, const struct instance *instance,
                       unsigned char *to) {
    uint64_t word;
    if (member->inner != NULL) {
        return put(member->inner, value, instance, to + member->offset);
    }
    bool pointer = (member->code == 'p' || member->code == 'P') && PyObject_TypeCheck(value, &tmebox_pointer_type);
    if (pointer ? instance == NULL || !tmebox_pointer_to_word(value, instance, member->kind, &word)
                : !tmebox_to_word(member->code, value, &word)) {
        return false;
    }
    memcpy(to + member->offset, &word, member->size);
    return true;
}

/* Keys that are no plain str run code when they are compared. Without them nothing here does. */
static bool has_plain_keys(PyObject *dict) {
    PyObject *key;
    Py_ssize_t position = 0;
    while (PyDict_Next(dict, &position, &key, NULL)) {
        if (!PyUnicode_CheckExact(key)) {
            return false;
        }
    }
    return true;
}

static bool put(const struct layout *layout, PyObject *value, const struct instance *instance, unsigned char *to) {
    if (PyTuple_CheckExact(value)) {
        bool fits = PyTuple_GET_SIZE(value) == layout->count;
        for (Py_ssize_t i = 0; fits && i < layout->count; i++) {
            fits = put_member(&layout->members[i], PyTuple_GET_ITEM(value, i), instance, to);
        }
        return fits;
    }
    if (!PyDict_CheckExact(value) || !has_plain_keys(value)) {
        return false;
    }
    Py_ssize_t found = 0;
    for (Py_ssize_t i = 0; i < layout->count; i++) {
        PyObject *item = PyDict_GetItemWithError(value, layout->members[i].name);
        if (item == NULL && PyErr_Occurred()) {
            PyErr_Clear();
            return false;
        }
        if (item != NULL) {
            if (!put_member(&layout->members[i], item, instance, to)) {
                return false;
            }
            found++;
        }
    }
    return found == PyDict_GET_SIZE(value); /* no other keys */
}

Py_ssize_t tmebox_struct_pack(PyObject *layout, PyObject *value, const struct instance *instance, unsigned char *to) {
    const struct layout *self = (const struct layout *)layout;
    memset(to, 0, self->size);
    return put(self, value, instance, to) ? (Py_ssize_t)self->size : -1;
}

uint32_t tmebox_struct_size(PyObject *layout) {
    return ((const struct layout *)layout)->size;
}

bool tmebox_struct_is_flat(PyObject *layout) {
    return ((const struct layout *)layout)->flat;
}

bool tmebox_struct_update(PyObject *layout, PyObject *dict, const unsigned char *from) {
    const struct layout *self = (const struct layout *)layout;
    for (Py_ssize_t i = 0; i < self->count; i++) {
        const struct member *member = &self->members[i];
        uint64_t word = 0;
        memcpy(&word, from + member->offset, member->size);
        PyObject *value = tmebox_from_word(member->code, word);
        if (value == NULL || PyDict_SetItem(dict, member->name, value) < 0) {
            Py_XDECREF(value);
            return false;
        }
        Py_DECREF(value);
    }
    return true;
}

static PyObject *layout_pack(PyObject *object, PyObject *value) {
    unsigned char data[LARGEST_STRUCT];
    Py_ssize_t size = tmebox_struct_pack(object, value, NULL, data);
    if (size < 0) {
        Py_RETURN_NONE;
    }
    return PyBytes_FromStringAndSize((const char *)data, size);
}

static PyMethodDef layout_methods[] = {
    {"pack", layout_pack, METH_O,
     "pack(value) -> bytes | None\n\nOf an exact dict or tuple whose items convert exactly; None for all else."},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject layout_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "tmebox._native.StructLayout",
    .tp_doc = "StructLayout(size, ((name, code or layout, offset, kind), ...))\n\nWhere a struct's members are.",
    .tp_basicsize = sizeof(struct layout),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = layout_new,
    .tp_dealloc = layout_dealloc,
    .tp_methods = layout_methods,
};

bool tmebox_is_struct_layout(PyObject *object) {
    return Py_IS_TYPE(object, &layout_type);
}

int tmebox_init_structs(PyObject *module) {
    return PyModule_AddType(module, &layout_type);
}
