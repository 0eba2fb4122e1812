/* Extents: who has which part of a range of numbers (addresses, offsets). An Extent is somebody's; dropped,
 * its part is free again. Each change is one C call that runs no Python code: see custody.c for why. */
#include "python/face.h"

#include <errno.h>
#include <string.h>

struct hole {
    uint64_t start, end;
};

struct extents {
    PyObject_HEAD
    struct hole *holes; /* ascending, apart from each other */
    Py_ssize_t count, room;
    Py_ssize_t out;      /* extents that somebody has: each may come back as a hole more */
    uint64_t dirty_end;  /* from here on, nothing was ever somebody's */
    unsigned long long provided; /* up to here there is memory, as its owner knows */
};

struct extent {
    PyObject_HEAD
    struct extents *from;
    uint64_t start, end;
};

static PyTypeObject extent_type;

static bool make_room(struct extents *self) {
    Py_ssize_t needed = self->count + self->out + 2; /* taking from the middle leaves one more */
    if (needed <= self->room) {
        return true;
    }
    struct hole *holes = PyMem_Realloc(self->holes, (size_t)(2 * needed) * sizeof *holes);
    if (holes == NULL) {
        PyErr_NoMemory();
        return false;
    }
    self->holes = holes;
    self->room = 2 * needed;
    return true;
}

/* The first hole that ends behind `start`. */
static Py_ssize_t find(const struct extents *self, uint64_t start) {
    Py_ssize_t low = 0, high = self->count;
    while (low < high) {
        Py_ssize_t middle = (low + high) / 2;
        if (self->holes[middle].end <= start) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void insert(struct extents *self, Py_ssize_t at, struct hole hole) {
    memmove(self->holes + at + 1, self->holes + at, (size_t)(self->count - at) * sizeof hole);
    self->holes[at] = hole;
    self->count++;
}

static void delete(struct extents *self, Py_ssize_t at) {
    self->count--;
    memmove(self->holes + at, self->holes + at + 1, (size_t)(self->count - at) * sizeof *self->holes);
}

/* There is room for it, and it overlaps no hole. */
static void give_back(struct extents *self, uint64_t start, uint64_t end) {
    Py_ssize_t at = find(self, start);
    bool before = at > 0 && self->holes[at - 1].end == start;
    bool after = at < self->count && self->holes[at].start == end;
    if (before && after) {
        self->holes[at - 1].end = self->holes[at].end;
        delete(self, at);
    } else if (before) {
        self->holes[at - 1].end = end;
    } else if (after) {
        self->holes[at].start = start;
    } else {
        insert(self, at, (struct hole){start, end});
    }
}

static void cut(struct extents *self, Py_ssize_t at, uint64_t start, uint64_t end) {
    struct hole hole = self->holes[at];
    if (hole.start == start && hole.end == end) {
        delete(self, at);
    } else if (hole.start == start) {
        self->holes[at].start = end;
    } else {
        self->holes[at].end = start;
        if (hole.end != end) {
            insert(self, at + 1, (struct hole){end, hole.end});
        }
    }
    self->dirty_end = self->dirty_end > end ? self->dirty_end : end;
    self->out++;
}

static PyObject *extents_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    static char *names[] = {"start", "end", NULL};
    unsigned long long start, end;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "KK:Extents", names, &start, &end)) {
        return NULL;
    }
    if (start > end) {
        PyErr_SetString(PyExc_ValueError, "a range ends behind its start");
        return NULL;
    }
    struct extents *self = (struct extents *)type->tp_alloc(type, 0);
    if (self == NULL || !make_room(self)) {
        Py_XDECREF(self);
        return NULL;
    }
    self->dirty_end = start;
    if (start < end) {
        self->holes[self->count++] = (struct hole){start, end};
    }
    return (PyObject *)self;
}

/* Allocated before the holes are looked at: see custody.c. */
static struct extent *new_extent(struct extents *from) {
    struct extent *extent = PyObject_New(struct extent, &extent_type);
    if (extent != NULL) {
        extent->from = (struct extents *)Py_NewRef((PyObject *)from);
        extent->start = extent->end = 0;
    }
    return extent;
}

static PyObject *taken(struct extents *self, struct extent *extent, Py_ssize_t at, uint64_t start,
                       uint64_t end) {
    if (at == self->count) {
        Py_DECREF(extent);
        Py_RETURN_NONE;
    }
    cut(self, at, start, end);
    extent->start = start;
    extent->end = end;
    return (PyObject *)extent;
}

static PyObject *extents_take(PyObject *object, PyObject *args, PyObject *keywords) {
    static char *names[] = {"size", "from_the_top", NULL};
    struct extents *self = (struct extents *)object;
    unsigned long long size;
    int top = 0;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "K|p:take", names, &size, &top)) {
        return NULL;
    }
    struct extent *extent = size != 0 ? new_extent(self) : NULL;
    if (extent == NULL || !make_room(self)) {
        Py_XDECREF(extent);
        if (size == 0) {
            PyErr_SetString(PyExc_ValueError, "nothing cannot be taken");
        }
        return NULL;
    }
    for (Py_ssize_t i = 0; i < self->count; i++) {
        Py_ssize_t at = top ? self->count - 1 - i : i;
        struct hole hole = self->holes[at];
        if (hole.end - hole.start >= size) {
            uint64_t start = top ? hole.end - size : hole.start;
            return taken(self, extent, at, start, start + size);
        }
    }
    return taken(self, extent, self->count, 0, 0);
}

PyObject *tmebox_take_provided(PyObject *object, uint64_t size, uint64_t *start) {
    struct extents *self = (struct extents *)object;
    if (!Py_IS_TYPE(object, &tmebox_extents_type) || size == 0) {
        return NULL;
    }
    struct extent *extent = new_extent(self);
    if (extent == NULL || !make_room(self)) {
        PyErr_Clear();
        Py_XDECREF(extent);
        return NULL;
    }
    for (Py_ssize_t i = 0; i < self->count && self->holes[i].start < self->provided; i++) {
        *start = self->holes[i].start;
        if (self->holes[i].end - *start >= size && size <= self->provided - *start) {
            return taken(self, extent, i, *start, *start + size);
        }
    }
    Py_DECREF(extent);
    return NULL;
}

static PyObject *extents_take_at(PyObject *object, PyObject *args) {
    struct extents *self = (struct extents *)object;
    unsigned long long start, size;
    if (!PyArg_ParseTuple(args, "KK:take_at", &start, &size)) {
        return NULL;
    }
    if (size == 0 || start + size < start) {
        Py_RETURN_NONE;
    }
    struct extent *extent = new_extent(self);
    if (extent == NULL || !make_room(self)) {
        Py_XDECREF(extent);
        return NULL;
    }
    Py_ssize_t at = find(self, start);
    bool fits = at < self->count && self->holes[at].start <= start && start + size <= self->holes[at].end;
    return taken(self, extent, fits ? at : self->count, start, start + size);
}

/* Zeros in all holes of a window's arena, as far as anything was ever there. */
static PyObject *extents_clean(PyObject *object, PyObject *argument) {
    struct extents *self = (struct extents *)object;
    unsigned long long base = PyLong_AsUnsignedLongLong(argument);
    if (PyErr_Occurred()) {
        return NULL;
    }
    for (Py_ssize_t i = 0; i < self->count && self->holes[i].start < self->dirty_end; i++) {
        uint64_t start = self->holes[i].start;
        uint64_t end = self->holes[i].end < self->dirty_end ? self->holes[i].end : self->dirty_end;
        if (!tmebox_window_clear(base + start, end - start)) {
            errno = ENOMEM;
            return PyErr_SetFromErrno(PyExc_OSError);
        }
        if (end == self->dirty_end) {
            self->dirty_end = start;
        }
    }
    Py_RETURN_NONE;
}

static PyObject *extents_get_free(PyObject *object, void *unused) {
    (void)unused;
    struct extents *self = (struct extents *)object;
    unsigned long long sum = 0;
    for (Py_ssize_t i = 0; i < self->count; i++) {
        sum += self->holes[i].end - self->holes[i].start;
    }
    return PyLong_FromUnsignedLongLong(sum);
}

static void extents_dealloc(PyObject *object) {
    PyMem_Free(((struct extents *)object)->holes);
    Py_TYPE(object)->tp_free(object);
}

static PyMethodDef extents_methods[] = {
    {"take", (PyCFunction)(void (*)(void))extents_take, METH_VARARGS | METH_KEYWORDS,
     "take(size, from_the_top=False) -> Extent | None\n\nOf the first hole that is large enough."},
    {"take_at", extents_take_at, METH_VARARGS,
     "take_at(start, size) -> Extent | None\n\nNone if some of it is somebody's, or outside."},
    {"clean", extents_clean, METH_O,
     "clean(base)\n\nThe range are offsets of a window: write zeros where nobody has anything any more."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef extents_members[] = {
    {"out", T_PYSSIZET, offsetof(struct extents, out), READONLY, "Extents that somebody has."},
    {"provided", T_ULONGLONG, offsetof(struct extents, provided), 0, "Where memory ends."},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef extents_properties[] = {
    {"free", extents_get_free, NULL, "How much nobody has.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyTypeObject tmebox_extents_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "tmebox._native.Extents",
    .tp_doc = "Extents(start, end)\n\nWho has which part of a range of numbers; at first, nobody any.",
    .tp_basicsize = sizeof(struct extents),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = extents_new,
    .tp_dealloc = extents_dealloc,
    .tp_methods = extents_methods,
    .tp_members = extents_members,
    .tp_getset = extents_properties,
};

/* -- one that somebody has ---------------------------------------------------------------------------- */
static void extent_dealloc(PyObject *object) {
    struct extent *self = (struct extent *)object;
    if (self->end != 0) {
        self->from->out--;
        give_back(self->from, self->start, self->end);
    }
    Py_DECREF(self->from);
    PyObject_Free(object);
}

static PyMemberDef extent_members[] = {
    {"start", T_ULONGLONG, offsetof(struct extent, start), READONLY, NULL},
    {"end", T_ULONGLONG, offsetof(struct extent, end), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyObject *extent_get_size(PyObject *object, void *unused) {
    (void)unused;
    struct extent *self = (struct extent *)object;
    return PyLong_FromUnsignedLongLong(self->end - self->start);
}

static PyGetSetDef extent_properties[] = {
    {"size", extent_get_size, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyTypeObject extent_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "tmebox._native.Extent",
    .tp_doc = "[start, end) of an Extents, as long as this object lives.",
    .tp_basicsize = sizeof(struct extent),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_dealloc = extent_dealloc,
    .tp_members = extent_members,
    .tp_getset = extent_properties,
};

bool tmebox_extent_of(PyObject *object, uint64_t *start, uint64_t *end) {
    if (!Py_IS_TYPE(object, &extent_type)) {
        PyErr_Format(PyExc_TypeError, "expected an Extent, got %.100s", Py_TYPE(object)->tp_name);
        return false;
    }
    *start = ((struct extent *)object)->start;
    *end = ((struct extent *)object)->end;
    return true;
}

int tmebox_init_extents(void) {
    return PyType_Ready(&extent_type);
}
