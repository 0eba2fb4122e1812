/* What a Heap says of itself: who owns which lines, and how much there is. */
#include "python/heap.h"

#include <stdlib.h>
#include <string.h>

/* Lines that no block has are nobody's here, also those that count as their owner's slack. */
static uint16_t owner_shown(const struct heap *heap, uint32_t page, uint32_t line) {
    const struct heap_page *self = &heap->pages[page];
    bool slack = self->kind == PAGE_SMALL && !(self->used >> line & 1);
    return slack ? HEAP_HOST : tmebox_heap_owner(heap, page, line);
}

PyObject *tmebox_heap_owner_at(PyObject *object, PyObject *argument) {
    struct heap_object *self = (struct heap_object *)object;
    unsigned long long offset = PyLong_AsUnsignedLongLong(argument);
    if (PyErr_Occurred()) {
        return NULL;
    }
    if (!tmebox_heap_covers(self->heap, offset)) {
        return PyErr_Format(PyExc_IndexError, "%p is no offset in the shared heap", (void *)(uintptr_t)offset);
    }
    if (!tmebox_heap_open(self)) {
        return NULL;
    }
    uint64_t place = offset - TMEBOX_SHARED_START;
    uint32_t page = (uint32_t)(place / TMEBOX_PAGE_SIZE), line = (uint32_t)(place / LINE % LINES);
    uint16_t owner = owner_shown(self->heap, page, line);
    tmebox_heap_unlock(&self->heap->lock);
    return PyLong_FromLong(owner);
}

static void fill_row(const struct heap *heap, uint32_t page, uint16_t *row, unsigned char *kind) {
    const struct heap_page *self = &heap->pages[page];
    bool small = self->kind == PAGE_SMALL;
    for (uint32_t line = 0; line < LINES; line++) {
        row[line] = owner_shown(heap, page, line);
    }
    uint64_t used = small ? self->used : self->kind == PAGE_RUN || self->kind == PAGE_REST ? UINT64_MAX : 0;
    memcpy(kind, &used, sizeof used);
}

PyObject *tmebox_heap_map(PyObject *object, PyObject *unused) {
    (void)unused;
    struct heap_object *self = (struct heap_object *)object;
    struct heap *heap = self->heap;
    PyObject *owners = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)heap->page_count * LINES * 2);
    PyObject *used = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)heap->page_count * 8);
    if (owners == NULL || used == NULL || !tmebox_heap_open(self)) {
        Py_XDECREF(owners);
        Py_XDECREF(used);
        return NULL;
    }
    uint16_t *rows = (uint16_t *)PyBytes_AS_STRING(owners);
    for (uint32_t page = 0; page < heap->page_count; page++) {
        fill_row(heap, page, rows + (size_t)page * LINES, (unsigned char *)PyBytes_AS_STRING(used) + 8 * page);
    }
    tmebox_heap_unlock(&heap->lock);
    return Py_BuildValue("NN", owners, used);
}

PyObject *tmebox_heap_figures(PyObject *object, PyObject *unused) {
    (void)unused;
    struct heap_object *self = (struct heap_object *)object;
    struct heap *heap = self->heap;
    if (!tmebox_heap_open(self)) {
        return NULL;
    }
    unsigned long long kinds[5] = {0}, mixed = 0, dirty = 0, lines = 0;
    for (uint32_t page = 0; page < heap->page_count; page++) {
        const struct heap_page *one = &heap->pages[page];
        kinds[one->kind]++;
        mixed += one->owner == HEAP_MIXED;
        dirty += one->flags & PAGE_DIRTY;
        lines += one->kind == PAGE_SMALL ? (unsigned)__builtin_popcountll(one->used) : 0;
    }
    lines += (kinds[PAGE_RUN] + kinds[PAGE_REST]) * LINES;
    unsigned long long keys = heap->key_end - 1 - heap->free_key_count, transfers = heap->transfers;
    unsigned long long revocations = heap->revocations;
    tmebox_heap_unlock(&heap->lock);
    return Py_BuildValue("KKKKKKKK", kinds[PAGE_FREE], kinds[PAGE_SPARE], mixed, dirty, lines, keys, transfers,
                         revocations);
}

PyObject *tmebox_heap_members_of(PyObject *object, PyObject *argument) {
    struct heap_object *self = (struct heap_object *)object;
    unsigned long key = PyLong_AsUnsignedLong(argument);
    if (PyErr_Occurred() || !tmebox_heap_open(self)) {
        return NULL;
    }
    const struct heap_key *one = key < HEAP_KEYS ? &self->heap->keys[key] : NULL;
    if (one == NULL || one->state != KEY_DOMAIN) {
        tmebox_heap_unlock(&self->heap->lock);
        Py_RETURN_NONE;
    }
    uint32_t count = one->domain->count;
    struct heap_member *members = malloc((count + 1) * sizeof *members);
    if (members != NULL) {
        memcpy(members, one->domain->members, count * sizeof *members);
    }
    tmebox_heap_unlock(&self->heap->lock);
    PyObject *list = members != NULL ? PyList_New(0) : PyErr_NoMemory();
    for (uint32_t i = 0; list != NULL && i < count; i++) {
        PyObject *row = members[i].key == HEAP_HOST
                            ? NULL
                            : Py_BuildValue("HO", members[i].key, members[i].rights & RIGHT_WRITE ? Py_True : Py_False);
        if ((row == NULL && PyErr_Occurred()) || (row != NULL && PyList_Append(list, row) < 0)) {
            Py_CLEAR(list);
        }
        Py_XDECREF(row);
    }
    free(members);
    return list;
}

/* For measuring: what the core does for one block, without Python around it. */
PyObject *tmebox_heap_repeat(PyObject *object, PyObject *args) {
    struct heap_object *self = (struct heap_object *)object;
    unsigned long long size, times;
    if (!PyArg_ParseTuple(args, "KK:repeat", &size, &times)) {
        return NULL;
    }
    for (unsigned long long i = 0; i < times; i++) {
        if (!tmebox_heap_open(self)) {
            return NULL;
        }
        uint32_t start = tmebox_heap_allocate(self->heap, size, HEAP_HOST, 0);
        if (start != HEAP_NOWHERE) {
            tmebox_heap_free(self->heap, start);
        }
        tmebox_heap_unlock(&self->heap->lock);
        if (start == HEAP_NOWHERE) {
            return PyErr_NoMemory();
        }
    }
    Py_RETURN_NONE;
}

PyObject *tmebox_heap_offset_of(PyObject *object, PyObject *named) {
    struct heap_object *self = (struct heap_object *)object;
    struct block *block;
    uint32_t start;
    if (!tmebox_block_named(self, named, &start, &block)) {
        return NULL;
    }
    tmebox_heap_unlock(&self->heap->lock);
    return PyLong_FromUnsignedLongLong(TMEBOX_SHARED_START + (uint64_t)start * LINE);
}
