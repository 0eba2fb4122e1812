/* What a Heap does with blocks that may be moved, and how many views there are of all heaps. */
#include "python/heap.h"

#include <stdlib.h>

#define PAGES_AT_A_TIME 64 /* between which sandboxes may allocate */

PyObject *tmebox_heap_compact_method(PyObject *object, PyObject *args) {
    struct heap_object *self = (struct heap_object *)object;
    int give_back = 1;
    if (!PyArg_ParseTuple(args, "|p:compact_heap", &give_back)) {
        return NULL;
    }
    unsigned long long moved = 0;
    struct heap_compaction compaction = {.end = self->heap->page_count};
    while (!compaction.done) {
        if (!tmebox_heap_open(self)) {
            return NULL;
        }
        moved += tmebox_heap_compact(self->heap, &compaction, PAGES_AT_A_TIME);
        tmebox_heap_unlock(&self->heap->lock);
    }
    if (!tmebox_heap_open(self)) {
        return NULL;
    }
    unsigned long punched = give_back ? tmebox_heap_punch(self->heap) : 0;
    tmebox_heap_unlock(&self->heap->lock);
    return Py_BuildValue("kK", punched, moved);
}

PyObject *tmebox_heap_relocate_method(PyObject *object, PyObject *args) {
    struct heap_object *self = (struct heap_object *)object;
    struct heap *heap = self->heap;
    PyObject *named;
    int dense;
    struct block *block;
    uint32_t start;
    if (!PyArg_ParseTuple(args, "Op:relocate_block", &named, &dense) ||
        !tmebox_block_named(self, named, &start, &block)) {
        return NULL;
    }
    uint32_t handle = tmebox_heap_handle_of(heap, start);
    const char *refusal = handle == 0 ? "the block was not made with movable=True"
                          : tmebox_heap_handle(heap, handle)->calls != 0
                              ? "a call that the block was passed to has not returned"
                          : tmebox_heap_handle(heap, handle)->pins != 0 ? "sandboxed code has pinned the block"
                                                                        : NULL;
    uint32_t to = start;
    if (refusal == NULL && heap->pages[start / LINES].kind == PAGE_SMALL) { /* whole pages stay */
        to = tmebox_heap_move(heap, start, dense);
    }
    tmebox_heap_unlock(&heap->lock);
    if (refusal != NULL) {
        PyErr_SetString(PyExc_ValueError, refusal);
        return NULL;
    }
    if (to == HEAP_NOWHERE) {
        PyErr_SetString(tmebox_limit_error, "the shared heap has no room to move the block to: free blocks");
        return NULL;
    }
    Py_RETURN_NONE;
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

PyObject *tmebox_block_hold(PyObject *object, PyObject *unused) {
    (void)unused;
    struct block *self = (struct block *)object;
    struct heap *heap = self->owner->heap;
    struct hold *hold = malloc(sizeof *hold);
    if (hold == NULL) {
        return PyErr_NoMemory();
    }
    if (!tmebox_block_is_live(self) || !tmebox_heap_open(self->owner)) {
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

static PyObject *heap_views(PyObject *module, PyObject *unused) {
    (void)module, (void)unused;
    return PyLong_FromUnsignedLong(tmebox_heap_view_count());
}

PyMethodDef tmebox_heap_module_methods[] = {
    {"heap_views", heap_views, METH_NOARGS, "heap_views() -> int\n\nViews of shared heaps that are mapped."},
    {NULL, NULL, 0, NULL},
};

PyObject *tmebox_heap_flush_method(PyObject *object, PyObject *unused) {
    (void)unused;
    struct heap_object *self = (struct heap_object *)object;
    if (!tmebox_heap_open(self)) {
        return NULL;
    }
    tmebox_heap_flush(self->heap);
    tmebox_heap_unlock(&self->heap->lock);
    Py_RETURN_NONE;
}
