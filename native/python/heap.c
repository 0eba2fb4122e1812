/* Heap: the shared heap as Python sees it. What changes in it changes in one C call; nobody sees half of that. */
#include "python/heap.h"
#include "windows/window.h"

#include <errno.h>

/* The key of a sandbox of this heap, 0 for None; -1 with an exception set. */
/* -1: it has none. Makes no exception, for that may run Python code, which may want the heap's lock. */
static int known_key(const struct heap_object *self, PyObject *object) {
    if (object == Py_None) {
        return HEAP_HOST;
    }
    const struct instance *instance = (const struct instance *)object;
    bool good = Py_IS_TYPE(object, &tmebox_instance_type) && instance->heap == self->heap &&
                tmebox_heap_has_key(instance->heap, instance->key, instance->key_serial);
    return good ? instance->key : -1;
}

static void raise_no_key(PyObject *object) {
    if (!Py_IS_TYPE(object, &tmebox_instance_type)) {
        PyErr_SetString(PyExc_TypeError, "expected an Instance or None");
    } else if (((const struct instance *)object)->closed) {
        tmebox_raise_closed((const struct instance *)object);
    } else {
        PyErr_SetString(PyExc_ValueError, "the sandbox is not one of this heap: pass heap= to Sandbox");
    }
}

static int key_of(const struct heap_object *self, PyObject *object) {
    int key = known_key(self, object);
    if (key < 0) {
        raise_no_key(object);
    }
    return key;
}

static PyObject *raise_error(int error, const struct heap *heap, uint64_t size) {
    if (error == ENOMEM) {
        PyErr_Format(tmebox_limit_error,
                     "the shared heap has no room for %llu bytes: it has %llu, of which %llu are free, perhaps not in "
                     "one piece; free blocks, or make it larger",
                     (unsigned long long)size, (unsigned long long)heap->size_bytes,
                     (unsigned long long)heap->free_pages * TMEBOX_PAGE_SIZE);
    } else if (error == EDQUOT) {
        PyErr_SetString(tmebox_limit_error,
                        "the sandbox would own more of the shared heap than its heap_limit: raise that, or free or "
                        "transfer some of its blocks");
    } else if (error == ENOSPC) {
        PyErr_SetString(tmebox_limit_error, "all memory encryption keys of the processor are in use: close sandboxes");
    } else if (error == EAGAIN) {
        PyErr_Format(tmebox_limit_error, "all %u keys of the shared heap are in use: close sandboxes",
                     (unsigned int)heap->key_limit - 1);
    } else {
        errno = error;
        PyErr_SetFromErrno(PyExc_OSError);
    }
    return NULL;
}

/* -- making and ending ---------------------------------------------------------------------------------- */
static PyObject *heap_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    static char *names[] = {"size_bytes", "dense", "views", "block_type", "device", "machine", NULL};
    unsigned long long size;
    int dense, views, device = -1;
    PyTypeObject *block_type;
    PyObject *machine = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "KppO!|iO:Heap", names, &size, &dense, &views, &PyType_Type,
                                     &block_type, &device, &machine)) {
        return NULL;
    }
    if (size == 0 || size % TMEBOX_PAGE_SIZE != 0 || size > TMEBOX_SHARED_END - TMEBOX_SHARED_START ||
        !PyType_IsSubtype(block_type, &tmebox_block_type)) {
        PyErr_SetString(PyExc_ValueError, "a heap is whole pages that fit a window, and its blocks are Blocks");
        return NULL;
    }
    views = views && tmebox_userfault_can_share();
    struct heap *heap = tmebox_heap_in(machine, device, size, dense, views);
    if (heap == NULL) {
        return NULL;
    }
    struct heap_object *self = (struct heap_object *)type->tp_alloc(type, 0);
    if (self == NULL) {
        tmebox_heap_let_go(heap);
        return NULL;
    }
    self->heap = heap;
    self->block_type = (PyTypeObject *)Py_NewRef((PyObject *)block_type);
    return (PyObject *)self;
}

/* Sandboxes that run go on, and find nothing of it. Arrays stay what they are. */
static PyObject *heap_close(PyObject *object, PyObject *unused) {
    (void)unused;
    struct heap *heap = ((struct heap_object *)object)->heap;
    if (!tmebox_heap_is_ours(heap) || heap->closed) {
        Py_RETURN_NONE;
    }
    tmebox_heap_lock(&heap->lock);
    tmebox_heap_bury(heap);
    tmebox_heap_close(heap);
    tmebox_heap_unlock(&heap->lock);
    Py_RETURN_NONE;
}

static int heap_traverse(PyObject *object, visitproc visit, void *arg) {
    struct heap_object *self = (struct heap_object *)object;
    Py_VISIT(self->dict);
    Py_VISIT(self->block_type);
    return 0;
}

static int heap_clear(PyObject *object) {
    Py_CLEAR(((struct heap_object *)object)->dict);
    return 0;
}

static void heap_dealloc(PyObject *object) {
    struct heap_object *self = (struct heap_object *)object;
    PyObject_GC_UnTrack(object);
    if (self->weak != NULL) {
        PyObject_ClearWeakRefs(object);
    }
    heap_clear(object);
    Py_CLEAR(self->block_type);
    if (self->heap != NULL) {
        if (tmebox_heap_is_ours(self->heap)) {
            tmebox_heap_lock(&self->heap->lock);
            tmebox_heap_bury(self->heap);
            tmebox_heap_unlock(&self->heap->lock);
        }
        tmebox_heap_let_go(self->heap);
    }
    Py_TYPE(object)->tp_free(object);
}

#define HOST_FLAGS (BLOCK_DENSE | BLOCK_SHAREABLE | BLOCK_MOVABLE)

/* -- blocks --------------------------------------------------------------------------------------------- */
static PyObject *heap_allocate(PyObject *object, PyObject *const *args, Py_ssize_t count) {
    struct heap_object *self = (struct heap_object *)object;
    if (count != 3) {
        PyErr_SetString(PyExc_TypeError, "allocate_block(size, instance, flags)");
        return NULL;
    }
    size_t size = PyLong_AsSize_t(args[0]);
    unsigned long flags = PyLong_AsUnsignedLong(args[2]);
    if (PyErr_Occurred()) {
        return NULL;
    }
    struct block *block = tmebox_block_new(self);
    int key = block != NULL ? key_of(self, args[1]) : -1;
    if (key < 0 || !tmebox_heap_open(self)) {
        Py_XDECREF(block);
        return NULL;
    }
    struct heap *heap = self->heap;
    uint32_t start = tmebox_heap_allocate(heap, size, (uint16_t)key, (unsigned)flags & HOST_FLAGS);
    if (start == HEAP_NOWHERE) {
        int error = errno;
        tmebox_heap_unlock(&heap->lock);
        Py_DECREF(block);
        return raise_error(error, heap, size);
    }
    if ((flags & BLOCK_MOVABLE) && tmebox_heap_make_handle(heap, start) == 0) {
        heap->pages[start / LINES].movable &= ~(1ULL << start % LINES); /* there are no more: it stays */
    }
    tmebox_block_begin(block, start, size);
    tmebox_heap_unlock(&heap->lock);
    return (PyObject *)block;
}

static PyObject *heap_free(PyObject *object, PyObject *named) {
    struct heap_object *self = (struct heap_object *)object;
    struct block *block;
    uint32_t start;
    if (!tmebox_block_named(self, named, &start, &block)) {
        return NULL;
    }
    tmebox_heap_drop_handle(self->heap, start);
    tmebox_heap_free(self->heap, start);
    block->state = BLOCK_FREED;
    tmebox_heap_unlock(&self->heap->lock);
    Py_RETURN_NONE;
}

static PyObject *heap_transfer(PyObject *object, PyObject *const *args, Py_ssize_t count) {
    struct heap_object *self = (struct heap_object *)object;
    struct block *block;
    uint32_t start;
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "transfer_block(block, instance)");
        return NULL;
    }
    if (!tmebox_block_named(self, args[0], &start, &block)) {
        return NULL;
    }
    int key = known_key(self, args[1]);
    int error = key < 0 ? 0 : tmebox_heap_transfer(self->heap, start, (uint16_t)key);
    tmebox_heap_unlock(&self->heap->lock);
    if (key < 0) {
        raise_no_key(args[1]);
        return NULL;
    }
    return error != 0 ? raise_error(error, self->heap, 0) : Py_NewRef(Py_None);
}

/* Their rights. False with an exception set. */
static bool read_rights(PyObject *rows, struct heap_member *members) {
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(rows); i++) {
        PyObject *row = PyTuple_GET_ITEM(rows, i);
        if (!PyTuple_Check(row) || PyTuple_GET_SIZE(row) != 2 || !PyBool_Check(PyTuple_GET_ITEM(row, 1))) {
            PyErr_SetString(PyExc_TypeError, "share_block(block, ((instance, writes), ...))");
            return false;
        }
        members[i].rights = RIGHT_READ | (PyTuple_GET_ITEM(row, 1) == Py_True ? RIGHT_WRITE : 0);
    }
    return true;
}

/* The first instance that is no member of the heap; NULL: all are. */
static PyObject *find_keys(const struct heap_object *self, PyObject *rows, struct heap_member *members) {
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(rows); i++) {
        PyObject *instance = PyTuple_GET_ITEM(PyTuple_GET_ITEM(rows, i), 0);
        int key = known_key(self, instance);
        if (key <= 0) {
            return instance;
        }
        members[i].key = (uint16_t)key;
    }
    return NULL;
}

static PyObject *heap_share(PyObject *object, PyObject *args) {
    struct heap_object *self = (struct heap_object *)object;
    PyObject *named, *rows;
    struct block *block;
    uint32_t start;
    if (!PyArg_ParseTuple(args, "OO!:share_block", &named, &PyTuple_Type, &rows)) {
        return NULL;
    }
    if (PyTuple_GET_SIZE(rows) > HEAP_KEYS) {
        PyErr_SetString(PyExc_ValueError, "more rows than a shared heap has keys");
        return NULL;
    }
    uint32_t count = (uint32_t)PyTuple_GET_SIZE(rows);
    struct heap_member *members = PyMem_Calloc(count + 1, sizeof *members);
    if (members == NULL) {
        return PyErr_NoMemory();
    }
    /* Members are looked up with the heap locked: naming a block may run Python code, in which they close. */
    bool good = read_rights(rows, members) && tmebox_block_named(self, named, &start, &block);
    if (good) {
        PyObject *stranger = find_keys(self, rows, members);
        int error = stranger == NULL ? tmebox_heap_share(self->heap, start, members, count) : 0;
        tmebox_heap_unlock(&self->heap->lock);
        good = stranger == NULL && error == 0;
        if (stranger != NULL) {
            raise_no_key(stranger);
        } else if (error == EINVAL) {
            PyErr_SetString(PyExc_ValueError, "only arrays, and blocks made with shareable=True, can be shared: a "
                                              "page has one right in a view");
        } else if (error != 0) {
            raise_error(error, self->heap, 0);
        }
    }
    PyMem_Free(members);
    return good ? Py_NewRef(Py_None) : NULL;
}

static PyObject *heap_adopt(PyObject *object, PyObject *args) {
    struct heap_object *self = (struct heap_object *)object;
    PyObject *instance;
    unsigned long long offset;
    if (!PyArg_ParseTuple(args, "OK:adopt_block", &instance, &offset)) {
        return NULL;
    }
    struct block *block = tmebox_block_new(self);
    int key = block != NULL ? key_of(self, instance) : -1;
    if (key < 0 || !tmebox_heap_open(self)) {
        Py_XDECREF(block);
        return NULL;
    }
    struct heap *heap = self->heap;
    uint64_t place = offset - TMEBOX_SHARED_START;
    uint32_t start = (uint32_t)(place / LINE);
    bool good = place < heap->size_bytes && place % LINE == 0 && tmebox_heap_block_lines(heap, start) != 0 &&
                tmebox_heap_block_owner(heap, start) == key && tmebox_heap_made_by_guest(heap, start);
    if (good) {
        tmebox_heap_set_guest(heap, start, false);
        tmebox_block_begin(block, start, tmebox_heap_block_lines(heap, start) * LINE);
    }
    tmebox_heap_unlock(&heap->lock);
    if (!good) {
        Py_DECREF(block);
        PyErr_Format(PyExc_ValueError, "no block begins at %p that the sandbox made and owns", (void *)(uintptr_t)offset);
        return NULL;
    }
    return (PyObject *)block;
}

static PyObject *heap_attach(PyObject *object, PyObject *const *args, Py_ssize_t count) {
    struct heap *heap = ((struct heap_object *)object)->heap;
    if (count != 2 || !Py_IS_TYPE(args[0], &tmebox_instance_type)) {
        PyErr_SetString(PyExc_TypeError, "attach(instance, limit_bytes)");
        return NULL;
    }
    struct instance *instance = (struct instance *)args[0];
    unsigned long long limit = PyLong_AsUnsignedLongLong(args[1]);
    if (PyErr_Occurred()) {
        return NULL;
    }
    if (instance->dead || instance->heap != NULL || instance->window == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "an instance comes to one heap, once, in a window");
        return NULL;
    }
    if (!tmebox_heap_is_ours(heap) || heap->closed) {
        PyErr_SetString(tmebox_closed_error, "the shared heap was closed, or is another process's");
        return NULL;
    }
    /* Nobody else may write where rsp can point: the check of a return and the return are two moments. */
    if (instance->window != NULL &&
        (instance->window->upper_stack || (instance->window->upper_start != 0 &&
                                           instance->window->upper_start < TMEBOX_SHARED_START + heap->size_bytes))) {
        PyErr_SetString(PyExc_ValueError, "the sandbox has its own heap or stack where the shared heap would be");
        return NULL;
    }
    uint16_t key = tmebox_heap_attach(heap, instance->window, instance->base, limit / LINE);
    if (key == 0) {
        return errno == ENOMEM ? PyErr_NoMemory() : raise_error(errno, heap, 0);
    }
    tmebox_heap_hold(heap);
    instance->heap = heap;
    instance->key = key;
    instance->key_serial = heap->keys[key].serial;
    return PyLong_FromLong(key);
}

static PyObject *heap_allow(PyObject *object, PyObject *args) {
    struct heap_object *self = (struct heap_object *)object;
    PyObject *first, *second;
    if (!PyArg_ParseTuple(args, "OO:allow_transfers", &first, &second)) {
        return NULL;
    }
    int from = key_of(self, first), to = from < 0 ? -1 : key_of(self, second);
    if (to < 0 || !tmebox_heap_open(self)) {
        return NULL;
    }
    bool good = tmebox_heap_permit(self->heap, (uint16_t)from, (uint16_t)to);
    tmebox_heap_unlock(&self->heap->lock);
    return good ? Py_NewRef(Py_None) : PyErr_NoMemory();
}

static PyObject *heap_lines_of(PyObject *object, PyObject *instance) {
    struct heap_object *self = (struct heap_object *)object;
    int key = key_of(self, instance);
    if (key < 0 || !tmebox_heap_open(self)) {
        return NULL;
    }
    unsigned long long lines = self->heap->keys[key].lines, guest = self->heap->keys[key].guest_blocks;
    tmebox_heap_unlock(&self->heap->lock);
    return Py_BuildValue("KK", lines, guest);
}

static PyObject *heap_get_backend(PyObject *object, void *unused) {
    (void)unused;
    return PyUnicode_FromString(((struct heap_object *)object)->heap->backend->name);
}

static PyObject *heap_get_closed(PyObject *object, void *unused) {
    (void)unused;
    const struct heap *heap = ((struct heap_object *)object)->heap;
    return PyBool_FromLong(heap->closed || !tmebox_heap_is_ours(heap));
}

static PyObject *heap_get_host_address(PyObject *object, void *unused) {
    (void)unused;
    return PyLong_FromVoidPtr(((struct heap_object *)object)->heap->host);
}

static PyObject *heap_get_size(PyObject *object, void *unused) {
    (void)unused;
    return PyLong_FromSize_t(((struct heap_object *)object)->heap->size_bytes);
}

static PyMethodDef heap_object_methods[] = {
    {"attach", (PyCFunction)(void (*)(void))heap_attach, METH_FASTCALL,
     "attach(instance, limit_bytes) -> key\n\nFrom now until it is killed, lines of the heap can be its own."},
    {"allocate_block", (PyCFunction)(void (*)(void))heap_allocate, METH_FASTCALL,
     "allocate_block(size, instance, flags) -> Block"},
    {"free_block", heap_free, METH_O, "free_block(block or array)"},
    {"transfer_block", (PyCFunction)(void (*)(void))heap_transfer, METH_FASTCALL,
     "transfer_block(block or array, instance)"},
    {"share_block", heap_share, METH_VARARGS, "share_block(block or array, ((instance, writes), ...))"},
    {"adopt_block", heap_adopt, METH_VARARGS, "adopt_block(instance, offset) -> Block"},
    {"allow_transfers", heap_allow, METH_VARARGS, "allow_transfers(instance, to)"},
    {"owner_at", tmebox_heap_owner_at, METH_O, "owner_at(offset) -> key"},
    {"owner_map", tmebox_heap_map, METH_NOARGS, "owner_map() -> (bytes of u2 for each line, bytes of u8 for each page)"},
    {"figures", tmebox_heap_figures, METH_NOARGS,
     "figures() -> (free, spare, mixed, dirty pages, lines of blocks, keys, transfers, revocations)"},
    {"lines_of", heap_lines_of, METH_O, "lines_of(instance) -> (lines, blocks made by its code)"},
    {"members_of", tmebox_heap_members_of, METH_O,
     "members_of(key) -> [(key, writes), ...] | None\n\nOf a shared domain; None: it is none."},
    {"offset_of", tmebox_heap_offset_of, METH_O, "offset_of(block or array) -> offset"},
    {"repeat", tmebox_heap_repeat, METH_VARARGS, "repeat(size, times)\n\nAllocates and frees. For measuring."},
    {"compact_heap", tmebox_heap_compact_method, METH_VARARGS,
     "compact_heap(give_back=True) -> (pages given back to the system, bytes moved)"},
    {"relocate_block", tmebox_heap_relocate_method, METH_VARARGS, "relocate_block(block, dense)"},
    {"flush_heap", tmebox_heap_flush_method, METH_NOARGS, "flush_heap()\n\nWhat views hold is encrypted in the machine's DRAM."},
    {"close_heap", heap_close, METH_NOARGS, "close_heap()\n\nNothing of it is anybody's but the host's."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef heap_properties[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {"backend", heap_get_backend, NULL, "Who enforces what belongs to whom.", NULL},
    {"closed", heap_get_closed, NULL, NULL, NULL},
    {"host_address", heap_get_host_address, NULL, "Of the host's view of it.", NULL},
    {"size_bytes", heap_get_size, NULL, "Of all of it.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyTypeObject tmebox_heap_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "tmebox._native.Heap",
    .tp_doc = "Heap(size_bytes, dense, views, block_type, machine=None)\n\nMemory that sandboxes share, owned line by line.",
    .tp_basicsize = sizeof(struct heap_object),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .tp_new = heap_new,
    .tp_dealloc = heap_dealloc,
    .tp_traverse = heap_traverse,
    .tp_clear = heap_clear,
    .tp_methods = heap_object_methods,
    .tp_getset = heap_properties,
    .tp_dictoffset = offsetof(struct heap_object, dict),
    .tp_weaklistoffset = offsetof(struct heap_object, weak),
};
