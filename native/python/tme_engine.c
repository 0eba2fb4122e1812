/* TmeEngine: the machine of tme/ as a Python type. src/tmebox/tme/machine.py makes the registers, PCONFIG and errors of it. What
 * goes wrong is handed to the method `_fault`, which raises. */
#include "python/face.h"
#include "tme/machine.h"

#include <string.h>

struct engine {
    PyObject_HEAD
    struct tme_machine machine;
    uint32_t generation; /* of the process */
    bool open;
};

static int engine_init(PyObject *object, PyObject *args, PyObject *keywords) {
    static char *names[] = {"memory",    "sets",  "ways",     "replacement", "seed", "kept_events", "uncached", "coherent",
                            "forbidden", "paper", "mac_bits", "path",        NULL};
    struct engine *self = (struct engine *)object;
    unsigned long long memory, seed;
    Py_ssize_t sets, ways, room;
    int uncached, coherent, forbidden, paper;
    unsigned int replacement, mac_bits;
    const char *path;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "$KnnIKnppppIz:TmeEngine", names, &memory, &sets, &ways, &replacement,
                                     &seed, &room, &uncached, &coherent, &forbidden, &paper, &mac_bits, &path)) {
        return -1;
    }
    if (self->open) {
        PyErr_SetString(PyExc_RuntimeError, "the machine is built once");
        return -1;
    }
    if (memory == 0 || memory % TME_PAGE_LINES != 0 || memory >> 40 != 0 || sets < 1 || ways < 1 || sets > 1 << 24 ||
        ways > 64 || room < 0 || room > 1 << 24 || (room & (room - 1)) != 0 || mac_bits < 1 || mac_bits > TME_MAC_BITS ||
        replacement > TME_TREE || (replacement == TME_TREE && (ways & (ways - 1)) != 0)) {
        PyErr_SetString(PyExc_ValueError, "a machine that cannot be: its sizes are checked by tme.Machine");
        return -1;
    }
    struct tme_machine *machine = &self->machine;
    machine->path = path != NULL ? tmebox_tme_path(path) : tmebox_tme_best_path();
    if (machine->path == NULL) {
        PyErr_Format(PyExc_ValueError, "path: this CPU has no %s", path);
        return -1;
    }
    self->open = true;
    self->generation = tmebox_generation;
    machine->uncached = uncached;
    machine->coherent = coherent;
    machine->aliases_forbidden = forbidden;
    machine->paper = paper;
    machine->mac_mask = (1U << mac_bits) - 1;
    if (!tmebox_tme_machine_new(machine, memory, (size_t)sets, (size_t)ways, replacement, seed, (size_t)room)) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

static void engine_dealloc(PyObject *object) {
    struct engine *self = (struct engine *)object;
    if (self->open) {
        tmebox_tme_machine_free(&self->machine);
    }
    Py_TYPE(object)->tp_free(object);
}

static struct tme_machine *opened(PyObject *object) {
    struct engine *self = (struct engine *)object;
    if (!self->open || self->machine.keys == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the machine was not built");
        return NULL;
    }
    if (self->generation != tmebox_generation) {
        tmebox_tme_unlock_after_fork(&self->machine);
        self->generation = tmebox_generation;
    }
    return &self->machine;
}

struct tme_machine *tmebox_tme_machine_of(PyObject *object) {
    if (!PyObject_TypeCheck(object, &tmebox_tme_engine_type)) {
        PyErr_SetString(PyExc_TypeError, "expected a TmeEngine");
        return NULL;
    }
    return opened(object);
}

static PyObject *fail(PyObject *self, struct tme_fault fault, const char *access) {
    PyObject *nothing = PyObject_CallMethod(self, "_fault", "iKIs", (int)fault.outcome,
                                            (unsigned long long)fault.address, fault.key_id, access);
    if (nothing != NULL) {
        Py_DECREF(nothing);
        PyErr_SetString(PyExc_RuntimeError, "_fault() has to raise");
    }
    return NULL;
}

static bool unsigned_from(PyObject *value, unsigned long long *number) {
    PyObject *whole = PyNumber_Index(value);
    if (whole == NULL) {
        return false;
    }
    *number = PyLong_AsUnsignedLongLong(whole);
    Py_DECREF(whole);
    return *number != (unsigned long long)-1 || !PyErr_Occurred();
}

/* The arguments of every access: two by position or, for flush, one; then key_id=, which -1 leaves to the address. */
static bool arguments(const char *name, PyObject *const *args, Py_ssize_t count, Py_ssize_t wanted, PyObject *names,
                      unsigned long long *address, int64_t *key_id) {
    if (count != wanted) {
        PyErr_Format(PyExc_TypeError, "%s() takes %zd positional arguments, %zd given", name, wanted, count);
        return false;
    }
    *key_id = -1;
    for (Py_ssize_t i = 0; names != NULL && i < PyTuple_GET_SIZE(names); i++) {
        if (PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, i), "key_id") != 0) {
            PyErr_Format(PyExc_TypeError, "%s() has no argument %R", name, PyTuple_GET_ITEM(names, i));
            return false;
        }
        unsigned long long number;
        if (!unsigned_from(args[count + i], &number)) {
            return false;
        }
        *key_id = number > 0xffffffff ? 0xffffffff : (int64_t)number;
    }
    return unsigned_from(args[0], address);
}

static PyObject *engine_read(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    struct tme_machine *machine = opened(self);
    unsigned long long address, size;
    int64_t key_id;
    if (machine == NULL || !arguments("read", args, count, 2, names, &address, &key_id) ||
        !unsigned_from(args[1], &size)) {
        return NULL;
    }
    if (size > machine->lines * TME_LINE) {
        return fail(self, (struct tme_fault){TME_OUTSIDE, address, key_id < 0 ? 0 : (uint32_t)key_id}, "read");
    }
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
    if (bytes == NULL) {
        return NULL;
    }
    tmebox_tme_lock(machine);
    struct tme_fault fault = tmebox_tme_read(machine, address, key_id, (uint8_t *)PyBytes_AS_STRING(bytes), size);
    tmebox_tme_unlock(machine);
    if (fault.outcome != TME_DONE) {
        Py_DECREF(bytes);
        return fail(self, fault, "read");
    }
    return bytes;
}

static PyObject *store(PyObject *self, const char *name, PyObject *const *args, Py_ssize_t count, PyObject *names,
                       bool direct) {
    struct tme_machine *machine = opened(self);
    unsigned long long address;
    int64_t key_id;
    Py_buffer data;
    if (machine == NULL || !arguments(name, args, count, 2, names, &address, &key_id) ||
        PyObject_GetBuffer(args[1], &data, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    size_t size = (size_t)data.len;
    bool whole = !direct || (size == TME_LINE && address % TME_LINE == 0);
    uint8_t *bytes = whole ? PyMem_Malloc(size) : NULL; /* what is stored may be DRAM itself, or a heap's */
    if (bytes != NULL) {
        memcpy(bytes, data.buf, size);
    }
    PyBuffer_Release(&data);
    if (!whole) {
        PyErr_SetString(PyExc_ValueError, "direct_store() stores one line: 64 bytes at a multiple of 64");
        return NULL;
    }
    if (bytes == NULL) {
        return PyErr_NoMemory();
    }
    tmebox_tme_lock(machine);
    struct tme_fault fault = direct ? tmebox_tme_direct(machine, address, key_id, bytes)
                                    : tmebox_tme_write(machine, address, key_id, bytes, size);
    tmebox_tme_unlock(machine);
    PyMem_Free(bytes);
    if (fault.outcome != TME_DONE) {
        return fail(self, fault, name);
    }
    Py_RETURN_NONE;
}

static PyObject *engine_write(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    return store(self, "write", args, count, names, false);
}

static PyObject *engine_direct(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    return store(self, "direct_store", args, count, names, true);
}

static PyObject *engine_flush_lines(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    struct tme_machine *machine = opened(self);
    unsigned long long address, size;
    int64_t key_id;
    if (machine == NULL || !arguments("_flush_lines", args, count, 2, names, &address, &key_id) ||
        !unsigned_from(args[1], &size)) {
        return NULL;
    }
    tmebox_tme_lock(machine);
    struct tme_fault fault = tmebox_tme_flush(machine, address, key_id, size);
    tmebox_tme_unlock(machine);
    if (fault.outcome != TME_DONE) {
        return fail(self, fault, "flush");
    }
    Py_RETURN_NONE;
}

static PyObject *engine_flush_all(PyObject *self, PyObject *unused) {
    (void)unused;
    struct tme_machine *machine = opened(self);
    if (machine == NULL) {
        return NULL;
    }
    tmebox_tme_lock(machine);
    tmebox_tme_flush_all(machine);
    tmebox_tme_unlock(machine);
    Py_RETURN_NONE;
}

static PyObject *engine_forget(PyObject *self, PyObject *unused) {
    (void)unused;
    struct tme_machine *machine = opened(self);
    if (machine == NULL) {
        return NULL;
    }
    tmebox_tme_lock(machine);
    tmebox_tme_forget(machine);
    tmebox_tme_unlock(machine);
    Py_RETURN_NONE;
}

static PyObject *engine_configure(PyObject *self, PyObject *args) {
    struct tme_machine *machine = opened(self);
    return machine != NULL ? tmebox_tme_configure(machine, args) : NULL;
}

static PyObject *engine_set_key(PyObject *self, PyObject *args) {
    struct tme_machine *machine = opened(self);
    return machine != NULL ? tmebox_tme_set_key(machine, args) : NULL;
}

static PyObject *engine_set_seam(PyObject *self, PyObject *on) {
    struct tme_machine *machine = opened(self);
    int truth = PyObject_IsTrue(on);
    if (machine == NULL || truth < 0) {
        return NULL;
    }
    machine->seam = truth;
    Py_RETURN_NONE;
}

static PyObject *engine_side(PyObject *self, PyObject *args) {
    struct tme_machine *machine = opened(self);
    PyObject *number;
    unsigned long long line;
    long long value = -1;
    if (machine == NULL || !PyArg_ParseTuple(args, "O|L:_side", &number, &value) || !unsigned_from(number, &line)) {
        return NULL;
    }
    if (line >= machine->lines) {
        PyErr_SetString(PyExc_IndexError, "no such line");
        return NULL;
    }
    tmebox_tme_lock(machine);
    if (value >= 0) {
        machine->side[line] = (uint32_t)value & (TME_SIDE_MAC | TME_SIDE_TD | TME_SIDE_POISON);
    }
    uint32_t side = machine->side[line];
    tmebox_tme_unlock(machine);
    return PyLong_FromUnsignedLong(side);
}

static PyObject *engine_verifying(PyObject *self, PyObject *args) {
    struct tme_machine *machine = opened(self);
    PyObject *number;
    unsigned long long line;
    if (machine == NULL || !PyArg_ParseTuple(args, "O:_verifying", &number) || !unsigned_from(number, &line)) {
        return NULL;
    }
    if (line >= machine->lines) {
        PyErr_SetString(PyExc_IndexError, "no such line");
        return NULL;
    }
    return tmebox_tme_show_verifying(machine, line);
}

static PyObject *engine_counts(PyObject *self, PyObject *unused) {
    (void)unused;
    struct tme_machine *machine = opened(self);
    return machine != NULL ? tmebox_tme_show_counts(machine) : NULL;
}

static PyObject *engine_noted(PyObject *self, PyObject *unused) {
    (void)unused;
    struct tme_machine *machine = opened(self);
    return machine != NULL ? tmebox_tme_show_events(machine) : NULL;
}

static PyObject *engine_drawn(PyObject *self, PyObject *key_id) {
    struct tme_machine *machine = opened(self);
    return machine != NULL ? tmebox_tme_show_drawn(machine, key_id) : NULL;
}

static PyObject *engine_cached(PyObject *self, PyObject *unused) {
    (void)unused;
    struct tme_machine *machine = opened(self);
    return machine != NULL ? tmebox_tme_show_cache(machine) : NULL;
}

static PyObject *engine_load_lines(PyObject *self, PyObject *args) {
    struct tme_machine *machine = opened(self);
    return machine != NULL ? tmebox_tme_show_lines(machine, args) : NULL;
}

static PyObject *engine_store_lines(PyObject *self, PyObject *args) {
    struct tme_machine *machine = opened(self);
    return machine != NULL ? tmebox_tme_take_lines(machine, args) : NULL;
}

static PyObject *engine_drive(PyObject *self, PyObject *args) {
    struct tme_machine *machine = opened(self);
    unsigned long long accesses, start, span, seed;
    unsigned int key_id, write_every;
    if (machine == NULL ||
        !PyArg_ParseTuple(args, "KKKIIK:_drive", &accesses, &start, &span, &key_id, &write_every, &seed)) {
        return NULL;
    }
    if (span < 8 || seed == 0) {
        PyErr_SetString(PyExc_ValueError, "span is at least 8, seed is not 0");
        return NULL;
    }
    tmebox_tme_lock(machine);
    struct tme_fault fault = tmebox_tme_drive(machine, accesses, start, span, key_id, write_every, seed);
    tmebox_tme_unlock(machine);
    if (fault.outcome != TME_DONE) {
        return fail(self, fault, "drive");
    }
    Py_RETURN_NONE;
}

static int engine_get_buffer(PyObject *object, Py_buffer *view, int flags) {
    struct tme_machine *machine = opened(object);
    if (machine == NULL) {
        view->obj = NULL;
        return -1;
    }
    return PyBuffer_FillInfo(view, object, machine->dram, (Py_ssize_t)(machine->lines * TME_LINE), 0, flags);
}

static PyBufferProcs engine_buffer = {.bf_getbuffer = engine_get_buffer};

#define FAST(function) (PyCFunction)(void (*)(void))(function), METH_FASTCALL | METH_KEYWORDS

static PyMethodDef engine_methods[] = {
    {"read", FAST(engine_read), "read(address, size, *, key_id=0)\n--\n\nLoad bytes through the caches."},
    {"write", FAST(engine_write), "write(address, data, *, key_id=0)\n--\n\nStore bytes through the caches."},
    {"direct_store", FAST(engine_direct), "direct_store(address, line, *, key_id=0)\n--\n\nMOVDIR64B: one whole line to DRAM."},
    {"_flush_lines", FAST(engine_flush_lines), "_flush_lines(address, size, *, key_id=0)\n--\n\n"},
    {"_flush_all", engine_flush_all, METH_NOARGS, "_flush_all()\n--\n\n"},
    {"_forget", engine_forget, METH_NOARGS, "_forget()\n--\n\nThe caches' contents are lost."},
    {"_configure", engine_configure, METH_VARARGS,
     "_configure(address_bits, key_bits, first_private, exclude_base, exclude_mask, excluding, keys, mac_key)"},
    {"_set_key", engine_set_key, METH_VARARGS, "_set_key(key_id, (data_key, tweak_key, integrity))"},
    {"_set_seam", engine_set_seam, METH_O, "_set_seam(on)"},
    {"_side", engine_side, METH_VARARGS, "_side(line, value=None) -> int\n\nMAC, TD bit and poison of a line."},
    {"_verifying", engine_verifying, METH_VARARGS, "_verifying(line) -> list[int]\n\nKeyIDs whose MAC fits."},
    {"_counts", engine_counts, METH_NOARGS, "_counts() -> list[int]"},
    {"_noted", engine_noted, METH_NOARGS, "_noted() -> [(number, kind, address, key_id), ...]"},
    {"_cached", engine_cached, METH_NOARGS, "_cached() -> [(place, key_id, address, flags, data), ...]"},
    {"_owner_key", engine_drawn, METH_O, "_owner_key(key_id) -> (key, tweak_key) or None\n\nWhat a heap drew."},
    {"_load_uncached", engine_load_lines, METH_VARARGS, "_load_uncached(key_id, line, count) -> (bytes, wrong)"},
    {"_store_uncached", engine_store_lines, METH_VARARGS, "_store_uncached(key_id, line, data)"},
    {"_drive", engine_drive, METH_VARARGS, "_drive(accesses, start, span, key_id, write_every, seed)"},
    {NULL, NULL, 0, NULL},
};

PyTypeObject tmebox_tme_engine_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "tmebox._native.TmeEngine",
    .tp_basicsize = sizeof(struct engine),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .tp_doc = "The model's memory path. Its buffer is the DRAM.",
    .tp_new = PyType_GenericNew,
    .tp_init = engine_init,
    .tp_dealloc = engine_dealloc,
    .tp_methods = engine_methods,
    .tp_as_buffer = &engine_buffer,
};
