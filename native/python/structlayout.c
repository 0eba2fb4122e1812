/* StructLayout: where the members of a struct are, so that a dict, a tuple or a record becomes a struct, and a struct a
 * dict or a record, without asking Python. Only what converts exactly does; of all else, and of what is wrong, runtime/calls/values.py
 * knows what to say. */
#include "python/face.h"

#include <string.h>

#define MOST_MEMBERS 64
#define DEEPEST 8
#define ROOM_OF(size) (((uint64_t)(size) + 63) & ~63ULL) /* as everything has that a sandbox is given */

struct member {
    PyObject *name; /* an interned str */
    PyObject *kind; /* of a pointer, which Pointers it takes, an interned str; or NULL */
    struct layout *inner; /* of a struct; else NULL, and code says what it is */
    uint32_t offset;
    uint32_t size;  /* of one */
    uint32_t count; /* of an array; 0: it is none */
    char code;
};

struct layout {
    PyObject_HEAD
    uint32_t size;
    uint32_t depth;
    bool flat; /* no member is a struct */
    bool has_pointers;
    char passing[3];
    PyTypeObject *record; /* what stands for it in Python, a type of tuples; or NULL */
    Py_ssize_t count;
    struct member members[MOST_MEMBERS];
};

static PyTypeObject layout_type;
/* Under which a record has the bytes that it was made of and, behind them, a weak reference to the sandbox's instance
 * that pointers in it lead into. */
static PyObject *data_name, *of_name;

static void layout_dealloc(PyObject *object) {
    struct layout *self = (struct layout *)object;
    for (Py_ssize_t i = 0; i < self->count; i++) {
        Py_XDECREF(self->members[i].name);
        Py_XDECREF(self->members[i].kind);
        Py_XDECREF((PyObject *)self->members[i].inner);
    }
    Py_XDECREF((PyObject *)self->record);
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
    unsigned int offset, count = 0;
    if (!PyTuple_Check(row)) {
        PyErr_SetString(PyExc_TypeError, "a member is a tuple (name, code or layout, offset, kind[, count])");
        return false;
    }
    if (!PyArg_ParseTuple(row, "UOIO|I:StructLayout", &name, &what, &offset, &kind, &count)) {
        return false;
    }
    member->offset = offset;
    member->count = count;
    if (Py_IS_TYPE(what, &layout_type)) {
        member->inner = (struct layout *)Py_NewRef(what);
        self->flat = false;
        self->has_pointers |= member->inner->has_pointers;
        self->depth = member->inner->depth >= self->depth ? member->inner->depth + 1 : self->depth;
    } else if (PyUnicode_Check(what) && PyUnicode_GET_LENGTH(what) == 1 && PyUnicode_READ_CHAR(what, 0) < 128 &&
               PyUnicode_READ_CHAR(what, 0) != 0 && strchr("bBhHiIlL?fdpP", (int)PyUnicode_READ_CHAR(what, 0)) != NULL) {
        member->code = (char)PyUnicode_READ_CHAR(what, 0);
        self->has_pointers |= member->code == 'p' || member->code == 'P';
    }
    member->size = member->inner != NULL || member->code != 0 ? size_of(member) : 0;
    if (member->size == 0 || self->depth > DEEPEST || member->size > self->size || count > self->size ||
        member->size * (count + (count == 0)) > self->size || offset > self->size - member->size * (count + (count == 0)) || (kind != Py_None && !PyUnicode_CheckExact(kind))) {
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

static bool is_record_type(PyObject *type) {
    return PyType_Check(type) && PyType_IsSubtype((PyTypeObject *)type, &PyTuple_Type) &&
           ((PyTypeObject *)type)->tp_itemsize == PyTuple_Type.tp_itemsize && ((PyTypeObject *)type)->tp_dictoffset != 0;
}

/* "m", or an 'i' or 'x' for each word, of which there are at most two. */
static bool is_passing(const char *passing, uint32_t size) {
    size_t length = strlen(passing);
    return length == 0 || strcmp(passing, "m") == 0 || (length == (size + 7) / 8 && length <= 2 && strspn(passing, "ix") == length);
}

static PyObject *layout_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    (void)keywords;
    unsigned int size;
    const char *passing = "";
    PyObject *members, *record = Py_None;
    if (!PyArg_ParseTuple(args, "IO!|sO:StructLayout", &size, &PyTuple_Type, &members, &passing, &record)) {
        return NULL;
    }
    if (!is_passing(passing, size) || (record != Py_None && !is_record_type(record))) {
        PyErr_SetString(PyExc_ValueError, "not how a struct is passed, or no type of records");
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
    strcpy(self->passing, passing);
    self->record = record != Py_None ? (PyTypeObject *)Py_NewRef(record) : NULL;
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

static bool put_one(const struct member *member, PyObject *value, const struct instance *instance, unsigned char *to) {
    uint64_t word;
    if (member->inner != NULL) {
        return put(member->inner, value, instance, to);
    }
    bool pointer = (member->code == 'p' || member->code == 'P') && PyObject_TypeCheck(value, &tmebox_pointer_type);
    if (pointer ? instance == NULL || !tmebox_pointer_to_word(value, instance, member->kind, &word)
                : !tmebox_to_word(member->code, value, &word)) {
        return false;
    }
    memcpy(to, &word, member->size);
    return true;
}

/* An array is given as a tuple or list of all its items, one of bytes also as bytes with zeros behind them. */
static bool put_member(const struct member *member, PyObject *value, const struct instance *instance,
                       unsigned char *to) {
    to += member->offset;
    if (member->count == 0) {
        return put_one(member, value, instance, to);
    }
    if (PyBytes_CheckExact(value) && member->inner == NULL && member->size == 1) {
        bool fits = PyBytes_GET_SIZE(value) <= (Py_ssize_t)member->count;
        memcpy(to, PyBytes_AS_STRING(value), fits ? (size_t)PyBytes_GET_SIZE(value) : 0);
        return fits;
    }
    if ((!PyTuple_CheckExact(value) && !PyList_CheckExact(value)) || Py_SIZE(value) != (Py_ssize_t)member->count) {
        return false;
    }
    bool fits = true;
    for (uint32_t i = 0; fits && i < member->count; i++) {
        fits = put_one(member, PySequence_Fast_GET_ITEM(value, (Py_ssize_t)i), instance, to + i * member->size);
    }
    return fits;
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

/* Where it does not, the last reference to something else may go here, and run any code. */
static bool leads_to(PyObject *reference, const struct instance *instance) {
#if PY_VERSION_HEX >= 0x030D0000
    PyObject *there = NULL;
    bool leads = PyWeakref_GetRef(reference, &there) > 0 && there == (PyObject *)instance;
    Py_XDECREF(there);
    return leads;
#else
    return PyWeakref_GET_OBJECT(reference) == (PyObject *)instance;
#endif
}

/* The bytes that a record was made of, borrowed, or NULL. Where its pointers lead elsewhere they may be gone already. */
static PyObject *bytes_of(const struct layout *layout, PyObject *record, const struct instance *instance, bool *elsewhere) {
    PyObject *dict = PyObject_GenericGetDict(record, NULL), *key, *found = NULL, *of;
    Py_ssize_t position = 0;
    if (dict == NULL) {
        PyErr_Clear();
    } else if (PyDict_Next(dict, &position, &key, &found) &&
               (key != data_name || !PyBytes_CheckExact(found) || PyBytes_GET_SIZE(found) != (Py_ssize_t)layout->size)) {
        found = NULL;
    }
    if (found != NULL && PyDict_Next(dict, &position, &key, &of)) {
        *elsewhere = key != of_name || !PyWeakref_CheckRef(of) || !leads_to(of, instance);
    }
    Py_XDECREF(dict); /* the record has it */
    return found;
}

static bool put(const struct layout *layout, PyObject *value, const struct instance *instance, unsigned char *to) {
    bool record = layout->record != NULL && Py_IS_TYPE(value, layout->record);
    bool elsewhere = false;
    PyObject *data = record ? bytes_of(layout, value, instance, &elsewhere) : NULL;
    if (elsewhere) {
        return false;
    }
    if (data != NULL) {
        memcpy(to, PyBytes_AS_STRING(data), layout->size);
        return true;
    }
    if (record || PyTuple_CheckExact(value)) {
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

static PyObject *get_one(const struct member *member, const unsigned char *from, const struct instance *instance) {
    uint64_t word = 0;
    if (member->inner != NULL) {
        return tmebox_struct_unpack((PyObject *)member->inner, from, instance);
    }
    memcpy(&word, from, member->size);
    return tmebox_from_word(member->code, word);
}

static PyObject *get_member(const struct member *member, const unsigned char *from, const struct instance *instance) {
    from += member->offset;
    if (member->count == 0) {
        return get_one(member, from, instance);
    }
    PyObject *items = PyTuple_New(member->count);
    for (uint32_t i = 0; items != NULL && i < member->count; i++) {
        PyObject *item = get_one(member, from + i * member->size, instance);
        if (item == NULL) {
            Py_CLEAR(items);
        } else {
            PyTuple_SET_ITEM(items, (Py_ssize_t)i, item);
        }
    }
    return items;
}

bool tmebox_struct_update(PyObject *layout, PyObject *dict, const unsigned char *from, const struct instance *instance) {
    const struct layout *self = (const struct layout *)layout;
    for (Py_ssize_t i = 0; i < self->count; i++) {
        const struct member *member = &self->members[i];
        PyObject *value = get_member(member, from, instance);
        if (value == NULL || PyDict_SetItem(dict, member->name, value) < 0) {
            Py_XDECREF(value);
            return false;
        }
        Py_DECREF(value);
    }
    return true;
}

bool tmebox_struct_takes(PyObject *layout, PyObject *value) {
    PyTypeObject *record = ((const struct layout *)layout)->record;
    return PyDict_CheckExact(value) || PyTuple_CheckExact(value) || (record != NULL && Py_IS_TYPE(value, record));
}

struct by_value tmebox_struct_passing(PyObject *layout) {
    const struct layout *self = (const struct layout *)layout;
    return (struct by_value){self->passing, self->size};
}

/* What it knows beside its items. */
static PyObject *known_by_record(const struct layout *self, const unsigned char *from, const struct instance *instance) {
    PyObject *data = PyBytes_FromStringAndSize((const char *)from, self->size), *of = NULL;
    PyObject *dict = data != NULL ? PyDict_New() : NULL;
    bool set = dict != NULL && PyDict_SetItem(dict, data_name, data) == 0;
    if (set && self->has_pointers && instance != NULL) {
        of = PyWeakref_NewRef((PyObject *)instance, NULL);
        set = of != NULL && PyDict_SetItem(dict, of_name, of) == 0;
    }
    if (!set) {
        Py_CLEAR(dict);
    }
    Py_XDECREF(data);
    Py_XDECREF(of);
    return dict;
}

/* Complete before anybody can see it: garbage may be collected while its members are made. */
PyObject *tmebox_struct_unpack(PyObject *object, const unsigned char *from, const struct instance *instance) {
    const struct layout *self = (const struct layout *)object;
    PyObject *values[MOST_MEMBERS], *dict = NULL, *record = NULL;
    Py_ssize_t made = 0;
    while (self->record != NULL && made < self->count) {
        values[made] = get_member(&self->members[made], from, instance);
        if (values[made] == NULL) {
            break;
        }
        made++;
    }
    if (self->record == NULL) {
        PyErr_SetString(PyExc_SystemError, "a struct without a type of records");
    } else if (made == self->count) {
        dict = known_by_record(self, from, instance);
        record = dict != NULL ? self->record->tp_alloc(self->record, self->count) : NULL;
    }
    for (Py_ssize_t i = 0; i < made; i++) {
        if (record != NULL) {
            PyTuple_SET_ITEM(record, i, values[i]);
        } else {
            Py_DECREF(values[i]);
        }
    }
    if (record != NULL && PyObject_GenericSetDict(record, dict, NULL) < 0) {
        Py_CLEAR(record);
    }
    Py_XDECREF(dict);
    return record;
}

static PyObject *layout_unpack(PyObject *object, PyObject *bytes) {
    const struct layout *self = (const struct layout *)object;
    if (!PyBytes_CheckExact(bytes) || PyBytes_GET_SIZE(bytes) != (Py_ssize_t)self->size) {
        return PyErr_Format(PyExc_ValueError, "%u bytes are expected", self->size);
    }
    return tmebox_struct_unpack(object, (const unsigned char *)PyBytes_AS_STRING(bytes), NULL);
}

/* No Python code runs from the look at the instance until the bytes are there. */
static PyObject *layout_new_in(PyObject *object, PyObject *const *args, Py_ssize_t count) {
    const struct layout *self = (const struct layout *)object;
    unsigned char data[LARGEST_STRUCT];
    uint64_t start = 0;
    if (count != 5 || !Py_IS_TYPE(args[1], &tmebox_instance_type) || !tmebox_is_pointer_maker(args[0])) {
        PyErr_SetString(PyExc_TypeError, "new(maker, instance, space, extents, value)");
        return NULL;
    }
    const struct instance *instance = (const struct instance *)args[1];
    if (args[4] == Py_None) {
        memset(data, 0, self->size);
    } else if (tmebox_struct_pack(object, args[4], instance, data) < 0) {
        Py_RETURN_NONE;
    }
    PyObject *extent = NULL, *made = NULL, *one = PyLong_FromLong(1);
    bool ready = one != NULL && (extent = tmebox_take_provided(args[3], ROOM_OF(self->size), &start)) != NULL &&
                 tmebox_is_alive(instance);
    if (ready && !tmebox_may_write(instance)) {
        Py_DECREF(extent);
        Py_DECREF(one);
        return NULL;
    }
    if (ready && tmebox_window_copy((void *)(instance->base + start), data, self->size).how == 0) {
        made = tmebox_make_pointer(args[0], (struct instance *)args[1], args[2], start, one, extent);
    } else if (one != NULL) {
        made = Py_NewRef(Py_None);
    }
    Py_XDECREF(extent);
    Py_XDECREF(one);
    return made;
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
    {"unpack", layout_unpack, METH_O, "unpack(bytes)\n\nWhat stands for it in Python."},
    {"new", (PyCFunction)(void (*)(void))layout_new_in, METH_FASTCALL,
     "new(maker, instance, space, extents, value) -> Pointer | None\n\nPacked into a part of the extents that is memory "
     "of the instance. None: where that is not possible here. None as the value: zeros."},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject layout_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "tmebox._native.StructLayout",
    .tp_doc = "StructLayout(size, ((name, code or layout, offset, kind[, count]), ...)[, passing[, record]])\n\nWhere a struct's "
              "members are.",
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
    data_name = PyUnicode_InternFromString("_data");
    of_name = PyUnicode_InternFromString("_of");
    return data_name == NULL || of_name == NULL ? -1 : PyModule_AddType(module, &layout_type);
}
