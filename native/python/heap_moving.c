/* What a Heap does with blocks that may be moved, and how many views there are of all heaps. */
#include "heap/compact.h"
#include "heap/views.h"
#include "python/heap.h"

PyObject *tmebox_heap_compact_method(PyObject *object, PyObject *args) {
    struct heap_object *self = (struct heap_object *)object;
    int give_back = 1;
    if (!PyArg_ParseTuple(args, "|p:compact_heap", &give_back) || !tmebox_heap_open(self)) {
        return NULL;
    }
    tmebox_heap_unlock(&self->heap->lock);
    struct heap_compacted result;
    Py_BEGIN_ALLOW_THREADS
    result = tmebox_heap_compact(self->heap, give_back);
    Py_END_ALLOW_THREADS
    if (!tmebox_heap_open(self)) {
        return NULL;
    }
    tmebox_heap_unlock(&self->heap->lock);
    return Py_BuildValue("kK", (unsigned long)result.pages, (unsigned long long)result.bytes);
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
