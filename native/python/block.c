/* Block: what somebody allocated in a shared heap. The last reference to one that the host made ends it; a finalizer
 * may come at any moment, so it only says so, and the heap's next use frees it. */
#include "python/heap.h"

#include <stdlib.h>
#include <string.h>

static PyObject *raise_closed(const struct heap *heap) {
    PyErr_SetString(tmebox_closed_error, tmebox_heap_is_ours(heap)
                                             ? "the shared heap was closed"
                                             : "the shared heap belongs to the process that this one was forked from");
    return NULL;
}

bool tmebox_heap_open(struct heap_object *self) {
    struct heap *heap = self->heap;
    if (!tmebox_heap_is_ours(heap) || heap->closed) {
        raise_closed(heap);
        return false;
    }
    tmebox_heap_lock(&heap->lock);
    tmebox_heap_bury(heap);
    return true;
}

static struct heap *heap_of(const struct block *self) {
    return self->owner->heap;
}

/* Where it starts now. Under the heap's lock, or where it cannot be moved. */
static uint32_t start_of(const struct block *self) {
    return self->handle != 0 ? tmebox_heap_handle_start(heap_of(self), self->handle) : self->start;
}

static bool can_be_viewed(const struct block *self) {
    return self->handle == 0 && heap_of(self)->pages[self->start / LINES].kind == PAGE_RUN;
}

struct block *tmebox_block_new(struct heap_object *self) {
    struct heap_doomed *doomed = malloc(sizeof *doomed);
    struct block *block = doomed != NULL ? (struct block *)self->block_type->tp_alloc(self->block_type, 0) : NULL;
    if (block == NULL) {
        free(doomed);
        if (!PyErr_Occurred()) {
            PyErr_NoMemory();
        }
        return NULL;
    }
    block->owner = (struct heap_object *)Py_NewRef((PyObject *)self);
    block->doomed = doomed;
    block->state = BLOCK_FREED;
    return block;
}

void tmebox_block_begin(struct block *self, uint32_t start, uint64_t size) {
    struct heap *heap = heap_of(self);
    self->size = size;
    self->start = start;
    self->handle = tmebox_heap_handle_of(heap, start);
    self->state = BLOCK_LIVE;
    if (self->handle == 0 && heap->pages[start / LINES].kind == PAGE_RUN) { /* as block_dealloc clears it */
        heap->pages[start / LINES].object = self;
    }
}

static bool is_live(const struct block *self) {
    if (self->state == BLOCK_LIVE) {
        return true;
    }
    PyErr_SetString(PyExc_ValueError, self->state == BLOCK_FREED ? "the block was freed"
                                                                 : "the block was released: its owner ends it");
    return false;
}

/* Where in the heap a buffer begins; false with an exception set. */
static bool place_of(struct heap_object *self, PyObject *object, uint64_t *place) {
    Py_buffer view;
    if (PyObject_GetBuffer(object, &view, PyBUF_FULL_RO) < 0) {
        PyErr_Format(PyExc_TypeError, "expected a Block, or an array of the heap, not %.100s",
                     Py_TYPE(object)->tp_name);
        return false;
    }
    *place = (uint64_t)((const unsigned char *)view.buf - self->heap->host);
    PyBuffer_Release(&view);
    return true;
}

static struct block *object_at(const struct heap *heap, uint64_t place) {
    if (place >= heap->size_bytes || place % TMEBOX_PAGE_SIZE != 0) {
        return NULL;
    }
    const struct heap_page *page = &heap->pages[place / TMEBOX_PAGE_SIZE];
    return page->kind == PAGE_RUN && !(page->flags & PAGE_GONE) ? page->object : NULL;
}

bool tmebox_block_named(struct heap_object *self, PyObject *object, uint32_t *start, struct block **block) {
    uint64_t place = 0;
    bool is_block = PyObject_TypeCheck(object, &tmebox_block_type);
    if (!is_block && !place_of(self, object, &place)) {
        return false;
    }
    if (is_block && ((struct block *)object)->owner != self) {
        PyErr_SetString(PyExc_ValueError, "the block is of another heap");
        return false;
    }
    if (!tmebox_heap_open(self)) {
        return false;
    }
    *block = is_block ? (struct block *)object : object_at(self->heap, place);
    if (*block != NULL && (*block)->state == BLOCK_LIVE) {
        *start = start_of(*block);
        return true;
    }
    tmebox_heap_unlock(&self->heap->lock);
    if (*block == NULL) {
        PyErr_SetString(PyExc_ValueError, "not an array of this heap from its beginning on, or freed");
    } else {
        is_live(*block);
    }
    return false;
}

bool tmebox_block_offset(PyObject *object, const struct heap *heap, uint64_t *offset) {
    const struct block *self = (const struct block *)object;
    if (!PyObject_TypeCheck(object, &tmebox_block_type) || heap == NULL || heap_of(self) != heap ||
        self->state != BLOCK_LIVE || self->handle != 0) { /* what may be moved is held, see block_hold */
        return false;
    }
    *offset = TMEBOX_SHARED_START + (uint64_t)start_of(self) * LINE;
    return true;
}

/* -- reading and writing -------------------------------------------------------------------------------- */
/* The part [start, start + size) of the block, whose heap is locked until end_part; NULL with an exception set,
 * unlocked. */
static unsigned char *begin_part(struct block *self, Py_ssize_t start, Py_ssize_t size, const char *access) {
    if (!is_live(self) || !tmebox_heap_open(self->owner)) {
        return NULL;
    }
    if (start < 0 || size < 0 || (uint64_t)start > self->size || (uint64_t)size > self->size - (uint64_t)start) {
        tmebox_heap_unlock(&heap_of(self)->lock);
        PyErr_Format(PyExc_IndexError, "bytes [%zd, %zd) of a block of %llu", start,
                     (Py_ssize_t)((size_t)start + (size_t)size), (unsigned long long)self->size);
        return NULL;
    }
    struct heap *heap = heap_of(self);
    struct heap_bad bad;
    uint64_t place = (uint64_t)start_of(self) * LINE + (uint64_t)start;
    unsigned char *there = tmebox_heap_host_begin(heap, place, (uint64_t)size, &bad);
    if (there == NULL) {
        tmebox_heap_unlock(&heap->lock);
        tmebox_heap_raise_bad(heap, &bad, access);
    }
    return there;
}

/* Copies, and unlocks. False with an exception set. */
static bool end_part(struct block *self, void *to, const void *from, Py_ssize_t start, Py_ssize_t size, bool wrote) {
    struct heap *heap = heap_of(self);
    struct heap_bad bad;
    uint64_t place = (uint64_t)start_of(self) * LINE + (uint64_t)start;
    /* Of nothing, there may be no buffer at all. */
    uint64_t stopped_at;
    bool good = size == 0 || tmebox_heap_copied(to, from, (size_t)size, &stopped_at);
    /* Else there was no page: of the heap, or of the other buffer, such as a mapped file that became shorter. */
    bool bad_memory = !good && heap->backend->report != NULL && stopped_at - (uintptr_t)(wrote ? from : to) >= (size_t)size;
    tmebox_heap_host_end(heap, place, (uint64_t)size, wrote);
    if (bad_memory) {
        uint16_t owner = tmebox_heap_block_owner(heap, start_of(self));
        tmebox_heap_report(heap, owner, place, (uint64_t)size, wrote ? HEAP_WRITES : HEAP_READS, &bad);
    }
    tmebox_heap_unlock(&heap->lock);
    if (bad_memory) {
        tmebox_heap_raise_bad(heap, &bad, wrote ? "write" : "read");
    } else if (!good) {
        PyErr_SetString(tmebox_limit_error, "no memory for a page of the block or of the other buffer: add memory, or look "
                                            "whether that is a mapped file that became shorter");
    }
    return good;
}

/* Of what is beyond any block, the largest number: it is told as what lies outside is. */
static bool to_place(PyObject *given, Py_ssize_t *number) {
    *number = PyNumber_AsSsize_t(given, NULL);
    return *number != -1 || !PyErr_Occurred();
}

static PyObject *block_read(PyObject *object, PyObject *args, PyObject *keywords) {
    static char *names[] = {"start", "size", NULL};
    struct block *self = (struct block *)object;
    Py_ssize_t start = 0, size = -1;
    PyObject *first = NULL, *given = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "|OO:read", names, &first, &given) ||
        (first != NULL && !to_place(first, &start))) {
        return NULL;
    }
    if (given == Py_None) {
        size = (uint64_t)start <= self->size ? (Py_ssize_t)self->size - start : 0;
    } else if (!to_place(given, &size)) {
        return NULL;
    }
    bool fits = size > 0 && (uint64_t)size <= self->size; /* else it is refused below, without room for it */
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, fits ? size : 0);
    unsigned char *from = bytes != NULL ? begin_part(self, start, size, "read") : NULL;
    if (from == NULL) {
        Py_XDECREF(bytes);
        return NULL;
    }
    if (!end_part(self, PyBytes_AS_STRING(bytes), from, start, size, false)) {
        Py_CLEAR(bytes);
    }
    return bytes;
}

static PyObject *block_write(PyObject *object, PyObject *args, PyObject *keywords) {
    static char *names[] = {"data", "start", NULL};
    struct block *self = (struct block *)object;
    Py_buffer data;
    Py_ssize_t start = 0;
    PyObject *first = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "y*|O:write", names, &data, &first)) {
        return NULL;
    }
    if (first != NULL && !to_place(first, &start)) {
        PyBuffer_Release(&data);
        return NULL;
    }
    unsigned char *to = begin_part(self, start, data.len, "write");
    bool good = to != NULL && end_part(self, to, data.buf, start, data.len, true);
    PyBuffer_Release(&data);
    return good ? Py_NewRef(Py_None) : NULL;
}

static PyObject *block_release(PyObject *object, PyObject *unused) {
    (void)unused;
    struct block *self = (struct block *)object;
    struct heap *heap = heap_of(self);
    if (!is_live(self) || !tmebox_heap_open(self->owner)) {
        return NULL;
    }
    uint32_t start = start_of(self);
    uint16_t owner = tmebox_heap_block_owner(heap, start);
    bool good = owner != HEAP_HOST && heap->keys[owner].state == KEY_SANDBOX;
    if (good) {
        tmebox_heap_set_guest(heap, start, true);
        if (heap->pages[start / LINES].kind == PAGE_RUN) {
            heap->pages[start / LINES].object = NULL;
        }
        self->state = BLOCK_RELEASED;
    }
    tmebox_heap_unlock(&heap->lock);
    if (!good) {
        PyErr_SetString(PyExc_ValueError, "no sandbox owns the block: free() it");
        return NULL;
    }
    Py_RETURN_NONE;
}

/* -- as a buffer ---------------------------------------------------------------------------------------- */
static int block_get_buffer(PyObject *object, Py_buffer *view, int flags) {
    struct block *self = (struct block *)object;
    struct heap *heap = heap_of(self);
    if (!is_live(self)) {
        return -1;
    }
    if (!can_be_viewed(self)) {
        PyErr_SetString(PyExc_BufferError, "a block of less than a page, or that may be moved, is read and written by "
                                           "copies: read(), write()");
        return -1;
    }
    struct heap_doomed *doomed = malloc(sizeof *doomed);
    if (doomed == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    unsigned char *there = heap->host + (uint64_t)self->start * LINE;
    if (!tmebox_heap_open(self->owner)) {
        free(doomed);
        return -1;
    }
    struct heap_bad bad;
    bool good = tmebox_heap_look(heap, self->start / LINES, true, &bad);
    heap->pages[self->start / LINES].views += good ? 1 : 0;
    tmebox_heap_unlock(&heap->lock);
    if (!good) {
        free(doomed);
        tmebox_heap_raise_bad(heap, &bad, "read");
        return -1;
    }
    *doomed = (struct heap_doomed){NULL, self->start, 0, true};
    if (PyBuffer_FillInfo(view, object, there, (Py_ssize_t)self->size, 0, flags) < 0) {
        tmebox_heap_doom(heap, doomed);
        return -1;
    }
    view->internal = doomed;
    return 0;
}

static void block_release_buffer(PyObject *object, Py_buffer *view) {
    tmebox_heap_doom(heap_of((struct block *)object), view->internal);
}

/* -- life ----------------------------------------------------------------------------------------------- */
/* A heap's attributes may refer to its blocks; it lets go of them. What a block needs stays. */
static int block_traverse(PyObject *object, visitproc visit, void *arg) {
    Py_VISIT((PyObject *)((struct block *)object)->owner);
    return 0;
}

static void block_dealloc(PyObject *object) {
    struct block *self = (struct block *)object;
    PyObject_GC_UnTrack(object);
    if (self->owner != NULL) {
        struct heap *heap = heap_of(self);
        if (self->state == BLOCK_LIVE && tmebox_heap_is_ours(heap)) {
            if (self->handle == 0 && heap->pages[self->start / LINES].kind == PAGE_RUN) {
                heap->pages[self->start / LINES].object = NULL;
            }
            *self->doomed = (struct heap_doomed){NULL, self->start, self->handle, false};
            tmebox_heap_doom(heap, self->doomed);
        } else {
            free(self->doomed);
        }
        Py_DECREF(self->owner);
    }
    Py_TYPE(object)->tp_free(object);
}

static PyObject *block_get_offset(PyObject *object, void *unused) {
    (void)unused;
    struct block *self = (struct block *)object;
    bool live = is_live(self);
    return live ? PyLong_FromUnsignedLongLong(TMEBOX_SHARED_START + (uint64_t)start_of(self) * LINE) : NULL;
}

static PyObject *block_get_key_id(PyObject *object, void *unused) {
    (void)unused;
    struct block *self = (struct block *)object;
    if (!is_live(self) || !tmebox_heap_open(self->owner)) {
        return NULL;
    }
    uint16_t owner = tmebox_heap_block_owner(heap_of(self), start_of(self));
    tmebox_heap_unlock(&heap_of(self)->lock);
    return PyLong_FromLong(owner);
}

static PyObject *block_get_state(PyObject *object, void *unused) {
    (void)unused;
    static const char *const names[] = {"live", "freed", "released"};
    return PyUnicode_FromString(names[((struct block *)object)->state]);
}

/* What is passed to a call stays where it is until that returns: until what is returned here goes. */
struct hold {
    struct heap *heap;
    struct heap_handle *handle;
};

static void end_hold(PyObject *capsule) {
    struct hold *hold = PyCapsule_GetPointer(capsule, NULL);
    if (tmebox_heap_is_ours(hold->heap)) {
        tmebox_heap_lock(&hold->heap->lock);
        tmebox_heap_end_call(hold->heap, hold->handle);
        tmebox_heap_unlock(&hold->heap->lock);
    }
    tmebox_heap_let_go(hold->heap);
    free(hold);
}

static PyObject *block_hold(PyObject *object, PyObject *unused) {
    (void)unused;
    struct block *self = (struct block *)object;
    struct heap *heap = heap_of(self);
    struct hold *hold = malloc(sizeof *hold);
    if (hold == NULL) {
        return PyErr_NoMemory();
    }
    if (!is_live(self) || !tmebox_heap_open(self->owner)) {
        free(hold);
        return NULL;
    }
    struct heap_handle *handle = self->handle != 0 ? tmebox_heap_handle(heap, self->handle) : NULL;
    uint64_t start = handle != NULL ? tmebox_heap_begin_call(heap, handle) : self->start;
    tmebox_heap_unlock(&heap->lock);
    uint64_t offset = TMEBOX_SHARED_START + start * LINE;
    if (handle == NULL) { /* it never moves */
        free(hold);
        return Py_BuildValue("KO", (unsigned long long)offset, Py_None);
    }
    *hold = (struct hold){heap, handle};
    tmebox_heap_hold(heap);
    PyObject *capsule = PyCapsule_New(hold, NULL, end_hold);
    if (capsule == NULL) {
        tmebox_heap_lock(&heap->lock);
        tmebox_heap_end_call(heap, handle);
        tmebox_heap_unlock(&heap->lock);
        tmebox_heap_let_go(heap);
        free(hold);
        return NULL;
    }
    return Py_BuildValue("KN", (unsigned long long)offset, capsule);
}

static PyObject *block_reduce(PyObject *object, PyObject *protocol) {
    (void)object, (void)protocol;
    PyErr_SetString(PyExc_TypeError, "a block of a shared heap is not copied or pickled: read() gives its bytes");
    return NULL;
}

static PyBufferProcs block_buffer = {block_get_buffer, block_release_buffer};

static PyMethodDef block_methods[] = {
    {"read", (PyCFunction)(void (*)(void))block_read, METH_VARARGS | METH_KEYWORDS,
     "read(start=0, size=None) -> bytes\n\nA copy of some of its bytes, or of all from `start` on."},
    {"write", (PyCFunction)(void (*)(void))block_write, METH_VARARGS | METH_KEYWORDS,
     "write(data, start=0)\n\nCopy a C-contiguous buffer into it."},
    {"hold", block_hold, METH_NOARGS,
     "hold() -> (offset, held)\n\nIt stays at that offset as long as `held` is there; None: for good."},
    {"release", block_release, METH_NOARGS,
     "release()\n\nLeave the ending to the sandbox that owns it. Raises ValueError if none does."},
    {"__reduce_ex__", block_reduce, METH_O, "Refused."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef block_members[] = {
    {"size", T_ULONGLONG, offsetof(struct block, size), READONLY, "Bytes that were asked for."},
    {"heap", T_OBJECT, offsetof(struct block, owner), READONLY, "The heap that it is of."},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef block_properties[] = {
    {"offset", block_get_offset, NULL, "Where it is in the windows of the heap's sandboxes.", NULL},
    {"key_id", block_get_key_id, NULL, "Of its owner; 0: the host.", NULL},
    {"state", block_get_state, NULL, "'live', 'freed' or 'released'.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyTypeObject tmebox_block_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "tmebox._native.Block",
    .tp_doc = "Memory of a shared heap. Passed where C takes a pointer, it is its offset.",
    .tp_basicsize = sizeof(struct block),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_dealloc = block_dealloc,
    .tp_traverse = block_traverse,
    .tp_methods = block_methods,
    .tp_members = block_members,
    .tp_getset = block_properties,
    .tp_as_buffer = &block_buffer,
};
