/* Shelf and Claim: things that are handed out and come back, whatever interrupts the code that has them.
 *
 * Python code may be left at nearly every bytecode: a signal handler or a finalizer runs there, calls in
 * again on the same thread, or raises. A lock would make it wait for itself, and what is half changed stays
 * so. Here each change is one C call that runs no Python code, so that under the GIL nobody sees half of it. A
 * thing lies on exactly one shelf or belongs to exactly one claim; a claim that is dropped puts it back. What is to
 * come back whole is reached from elsewhere meanwhile, too: of garbage, the collector empties Python's objects first. */
#include "python/face.h"

#include <string.h>

struct shelf {
    PyObject_HEAD
    PyObject **things;
    uint32_t *weights;
    Py_ssize_t first, count, room; /* [first, first + count) of `room`, at least count + owed */
    Py_ssize_t owed;               /* claims that may come back here, and things of shelves it is the heir of */
    unsigned long long weight;
    struct shelf *heir; /* gets what lies here at the end; may be NULL */
    struct shelf *sum;  /* has our weight added to its own; may be NULL */
};

struct claim {
    PyObject_HEAD
    PyObject *thing; /* NULL: settled */
    struct shelf *back;
};

static PyTypeObject claim_type;

/* So that what comes back always fits: a finalizer has nobody to tell that there is no memory. */
static bool make_room(struct shelf *self, Py_ssize_t more) {
    Py_ssize_t needed = self->count + self->owed + more;
    if (self->first + needed <= self->room) {
        return true;
    }
    if (self->first != 0) { /* else there may be no arrays yet, which C does not let be moved */
        memmove(self->things, self->things + self->first, (size_t)self->count * sizeof *self->things);
        memmove(self->weights, self->weights + self->first, (size_t)self->count * sizeof *self->weights);
        self->first = 0;
    }
    if (needed <= self->room / 2) {
        return true;
    }
    Py_ssize_t room = 2 * needed + 8;
    PyObject **things = PyMem_Realloc(self->things, (size_t)room * sizeof *things);
    self->things = things != NULL ? things : self->things;
    uint32_t *weights = PyMem_Realloc(self->weights, (size_t)room * sizeof *weights);
    self->weights = weights != NULL ? weights : self->weights;
    if (things == NULL || weights == NULL) {
        return needed <= self->room;
    }
    self->room = room;
    return true;
}

static bool make_room_here_and_at_the_heirs(struct shelf *self) {
    return make_room(self, 1) && (self->heir == NULL || make_room(self->heir, 1));
}

static void weigh(struct shelf *self, int64_t weight) {
    for (; self != NULL; self = self->sum) {
        self->weight += (uint64_t)weight;
    }
}

/* Takes over the reference. There is room, perhaps not at the end: so this does not fail. */
static void put(struct shelf *self, PyObject *thing, uint32_t weight) {
    if (UNLIKELY(!make_room(self, 1))) {
        Py_FatalError("tmebox: a shelf without the room that was made for what comes back");
    }
    if (self->heir != NULL) {
        self->heir->owed++;
    }
    Py_ssize_t at = self->first + self->count++;
    self->things[at] = thing;
    self->weights[at] = weight;
    weigh(self, weight);
}

static PyObject *take_at(struct shelf *self, bool oldest) {
    Py_ssize_t at = oldest ? self->first++ : self->first + self->count - 1;
    self->count--;
    weigh(self, -(int64_t)self->weights[at]);
    if (self->heir != NULL) {
        self->heir->owed--;
    }
    return self->things[at];
}

static PyObject *shelf_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    static char *names[] = {"heir", "sum", NULL};
    struct shelf *heir = NULL, *sum = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "|O!O!:Shelf", names, type, &heir, type, &sum)) {
        return NULL;
    }
    struct shelf *self = (struct shelf *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->heir = (struct shelf *)Py_XNewRef((PyObject *)heir);
        self->sum = (struct shelf *)Py_XNewRef((PyObject *)sum);
    }
    return (PyObject *)self;
}

static PyObject *shelf_put(PyObject *object, PyObject *thing) {
    struct shelf *self = (struct shelf *)object;
    if (!make_room_here_and_at_the_heirs(self)) {
        return PyErr_NoMemory();
    }
    put(self, Py_NewRef(thing), 0);
    Py_RETURN_NONE;
}

/* Allocated before anything changes: the collector may run then, and with it any code. */
static struct claim *new_claim(struct shelf *back) {
    struct claim *claim = PyObject_GC_New(struct claim, &claim_type);
    if (claim == NULL) {
        return NULL;
    }
    claim->thing = NULL;
    claim->back = (struct shelf *)Py_NewRef((PyObject *)back);
    PyObject_GC_Track((PyObject *)claim);
    return claim;
}

static PyObject *shelf_take(PyObject *object, PyObject *args, PyObject *keywords) {
    static char *names[] = {"back", "oldest", NULL};
    struct shelf *self = (struct shelf *)object, *back = self;
    int oldest = 0;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "|O!p:take", names, Py_TYPE(object), &back, &oldest)) {
        return NULL;
    }
    if (self->count == 0) {
        Py_RETURN_NONE;
    }
    struct claim *claim = new_claim(back);
    if (claim == NULL) {
        return NULL;
    }
    if (self->count == 0) { /* the collector ran */
        Py_DECREF(claim);
        Py_RETURN_NONE;
    }
    if (!make_room(back, back == self ? 0 : 1)) {
        Py_DECREF(claim);
        return PyErr_NoMemory();
    }
    claim->thing = take_at(self, oldest);
    back->owed++;
    return (PyObject *)claim;
}

static PyObject *shelf_claim(PyObject *object, PyObject *thing) {
    struct shelf *self = (struct shelf *)object;
    struct claim *claim = new_claim(self);
    if (claim == NULL) {
        return NULL;
    }
    if (!make_room(self, 1)) {
        Py_DECREF(claim);
        return PyErr_NoMemory();
    }
    claim->thing = Py_NewRef(thing);
    self->owed++;
    return (PyObject *)claim;
}

/* The oldest, and no reference to a claim on it. */
static PyObject *shelf_peek(PyObject *object, PyObject *unused) {
    (void)unused;
    struct shelf *self = (struct shelf *)object;
    return Py_NewRef(self->count != 0 ? self->things[self->first] : Py_None);
}

static PyObject *shelf_clear_method(PyObject *object, PyObject *unused) {
    (void)unused;
    struct shelf *self = (struct shelf *)object;
    while (self->count != 0) {
        Py_DECREF(take_at(self, true)); /* may run any code: nothing of `self` is kept across it */
    }
    Py_RETURN_NONE;
}

static PyObject *shelf_remove(PyObject *object, PyObject *thing) {
    struct shelf *self = (struct shelf *)object;
    Py_ssize_t end = self->first + self->count, at = self->first;
    while (at < end && self->things[at] != thing) {
        at++;
    }
    if (at == end) {
        Py_RETURN_FALSE;
    }
    PyObject *newest = self->things[at];
    uint32_t weight = self->weights[at];
    memmove(self->things + at, self->things + at + 1, (size_t)(end - at - 1) * sizeof *self->things);
    memmove(self->weights + at, self->weights + at + 1, (size_t)(end - at - 1) * sizeof *self->weights);
    self->things[end - 1] = newest;
    self->weights[end - 1] = weight;
    Py_DECREF(take_at(self, false));
    Py_RETURN_TRUE;
}

static Py_ssize_t shelf_length(PyObject *object) {
    return ((struct shelf *)object)->count;
}

static int shelf_traverse(PyObject *object, visitproc visit, void *arg) {
    struct shelf *self = (struct shelf *)object;
    for (Py_ssize_t i = self->first; i < self->first + self->count; i++) {
        Py_VISIT(self->things[i]);
    }
    Py_VISIT(self->heir);
    Py_VISIT(self->sum);
    return 0;
}

static int shelf_clear(PyObject *object) {
    Py_XDECREF(shelf_clear_method(object, NULL));
    return 0;
}

static void shelf_dealloc(PyObject *object) {
    struct shelf *self = (struct shelf *)object;
    PyObject_GC_UnTrack(object);
    while (self->heir != NULL && self->count != 0) {
        put(self->heir, take_at(self, true), 0);
    }
    shelf_clear(object);
    Py_XDECREF(self->heir);
    Py_XDECREF(self->sum);
    PyMem_Free(self->things);
    PyMem_Free(self->weights);
    Py_TYPE(object)->tp_free(object);
}

static PyMethodDef shelf_methods[] = {
    {"put", shelf_put, METH_O, "put(thing)"},
    {"take", (PyCFunction)(void (*)(void))shelf_take, METH_VARARGS | METH_KEYWORDS,
     "take(back=self, oldest=False) -> Claim | None\n\nThe newest thing; dropped, it goes to `back`."},
    {"claim", shelf_claim, METH_O, "claim(thing) -> Claim\n\nOf a new thing; dropped, it comes here."},
    {"peek", shelf_peek, METH_NOARGS, "peek() -> thing | None\n\nThe oldest; it stays."},
    {"remove", shelf_remove, METH_O, "remove(thing) -> bool\n\nWhether it was there."},
    {"clear", shelf_clear_method, METH_NOARGS, "clear()"},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef shelf_members[] = {
    {"weight", T_ULONGLONG, offsetof(struct shelf, weight), READONLY, "Of all things together."},
    {"owed", T_PYSSIZET, offsetof(struct shelf, owed), READONLY, "Things that may still come here."},
    {NULL, 0, 0, 0, NULL},
};

static PySequenceMethods shelf_sequence = {.sq_length = shelf_length};

PyTypeObject tmebox_shelf_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "tmebox._native.Shelf",
    .tp_doc = "Shelf(heir=…, sum=…)\n\nThings that nobody has. What lies here at the end goes to the heir; the "
              "shelf `sum` weighs as much more as this one does.",
    .tp_basicsize = sizeof(struct shelf),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = shelf_new,
    .tp_dealloc = shelf_dealloc,
    .tp_traverse = shelf_traverse,
    .tp_clear = shelf_clear,
    .tp_methods = shelf_methods,
    .tp_members = shelf_members,
    .tp_as_sequence = &shelf_sequence,
};

/* -- claims ------------------------------------------------------------------------------------------- */
static bool is_settled(const struct claim *self) {
    if (self->thing == NULL) {
        PyErr_SetString(PyExc_ValueError, "the claim is settled");
        return true;
    }
    return false;
}

static PyObject *claim_give(PyObject *object, PyObject *args) {
    struct claim *self = (struct claim *)object;
    struct shelf *to;
    unsigned int weight = 0;
    if (!PyArg_ParseTuple(args, "O!|I:give", &tmebox_shelf_type, &to, &weight) || is_settled(self)) {
        return NULL;
    }
    if (!make_room_here_and_at_the_heirs(to)) {
        return PyErr_NoMemory();
    }
    PyObject *thing = self->thing;
    self->thing = NULL;
    self->back->owed--;
    put(to, thing, weight);
    Py_RETURN_NONE;
}

static PyObject *claim_settle(PyObject *object, PyObject *unused) {
    (void)unused;
    struct claim *self = (struct claim *)object;
    if (is_settled(self)) {
        return NULL;
    }
    self->back->owed--;
    Py_CLEAR(self->thing);
    Py_RETURN_NONE;
}

static PyObject *claim_get_thing(PyObject *object, void *unused) {
    (void)unused;
    struct claim *self = (struct claim *)object;
    return is_settled(self) ? NULL : Py_NewRef(self->thing);
}

static int claim_traverse(PyObject *object, visitproc visit, void *arg) {
    Py_VISIT(((struct claim *)object)->thing);
    Py_VISIT(((struct claim *)object)->back);
    return 0;
}

static void claim_dealloc(PyObject *object) {
    struct claim *self = (struct claim *)object;
    PyObject_GC_UnTrack(object);
    if (self->thing != NULL) {
        self->back->owed--;
        put(self->back, self->thing, 0);
    }
    Py_DECREF(self->back);
    PyObject_GC_Del(object);
}

static PyMethodDef claim_methods[] = {
    {"give", claim_give, METH_VARARGS, "give(shelf, weight=0)\n\nThe thing lies there now."},
    {"settle", claim_settle, METH_NOARGS, "settle()\n\nThe thing is no more: it goes nowhere."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef claim_properties[] = {
    {"thing", claim_get_thing, NULL, "Until the claim is settled.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyTypeObject claim_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "tmebox._native.Claim",
    .tp_doc = "What somebody has of a shelf.",
    .tp_basicsize = sizeof(struct claim),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_dealloc = claim_dealloc,
    .tp_traverse = claim_traverse,
    .tp_methods = claim_methods,
    .tp_getset = claim_properties,
};

int tmebox_init_custody(void) {
    return PyType_Ready(&claim_type);
}

/* -- what is made once -------------------------------------------------------------------------------- */
/* Attributes that are slots or properties of C: reading and setting them runs no Python code. */
static PyObject *set_first(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *object, *name, *value;
    if (!PyArg_ParseTuple(args, "OUO:set_first", &object, &name, &value)) {
        return NULL;
    }
    PyObject *present = PyObject_GetAttr(object, name);
    if (present != Py_None) {
        return present;
    }
    Py_DECREF(present);
    return PyObject_SetAttr(object, name, value) < 0 ? NULL : Py_NewRef(value);
}

PyMethodDef tmebox_custody_methods[] = {
    {"set_first", set_first, METH_VARARGS,
     "set_first(object, name, value) -> value\n\nSets what is None; the value that is there then."},
    {NULL, NULL, 0, NULL},
};
