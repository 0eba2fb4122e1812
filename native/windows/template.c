/* Template: what the windows of one kind of sandbox hold at first, for the fault handler. */
#include "windows/window.h"

#include <string.h>

static bool is_page_aligned(unsigned long long offset) {
    return offset % PAGE == 0;
}

/* What the rest relies on; a hostile module or snapshot must not get past here with any layout. */
static bool is_sane(uint64_t stack_low, uint64_t stack_top, uint64_t heap_start, uint64_t heap_end,
                    uint64_t upper_start, uint64_t upper_end, size_t data_size) {
    uint64_t data_end = upper_end != 0 ? upper_end : heap_end;
    bool heap_below = upper_end == 0 || (upper_start >= TMEBOX_SHARED_START && upper_end <= stack_low - TMEBOX_GUARD);
    bool low = stack_top == TMEBOX_STACK_TOP && stack_low >= TMEBOX_STACK_LOWEST && stack_low < stack_top;
    bool high = stack_top <= TMEBOX_PRIVATE_END && stack_low < stack_top && stack_low >= HOT_START + HOT_SIZE &&
                stack_low - heap_end >= TMEBOX_GUARD && stack_low >= heap_end;
    /* The MiB below the half that rsp stays in then is never mapped. */
    bool above = stack_top <= TMEBOX_SHARED_END && stack_low < stack_top && stack_low >= TMEBOX_SHARED_START && heap_below;
    return is_page_aligned(stack_low) && is_page_aligned(stack_top) && is_page_aligned(heap_start) &&
           is_page_aligned(heap_end) && (low || high || above) && heap_start >= TMEBOX_IMAGE_START &&
           heap_start <= heap_end && heap_end <= TMEBOX_PRIVATE_END && data_size % PAGE == 0 &&
           data_size <= data_end - TMEBOX_IMAGE_START;
}

bool tmebox_is_upper(uint64_t start, uint64_t end) {
    bool none = start == 0 && end == 0;
    return none || (is_page_aligned(start) && is_page_aligned(end) && start >= TMEBOX_UPPER_LOWEST && start < end &&
                    end <= TMEBOX_SHARED_END);
}

static int fill_read_only(struct template *self, PyObject *ranges) {
    PyObject *sequence = PySequence_Tuple(ranges);
    if (sequence == NULL) {
        return -1;
    }
    Py_ssize_t count = PyTuple_GET_SIZE(sequence);
    self->read_only = PyMem_Calloc((size_t)count + 1, sizeof *self->read_only);
    uint32_t last = TMEBOX_IMAGE_START;
    bool good = true;
    for (Py_ssize_t i = 0; self->read_only != NULL && good && i < count; i++) {
        unsigned long long start, end;
        PyObject *row = PyTuple_GET_ITEM(sequence, i);
        if (!PyTuple_Check(row) || !PyArg_ParseTuple(row, "KK:Template", &start, &end)) {
            good = false;
        } else if (!is_page_aligned(start) || !is_page_aligned(end) || start < last || start > end ||
                   end > self->heap_start) {
            PyErr_SetString(PyExc_ValueError, "read-only ranges are ascending pages of the image");
            good = false;
        } else {
            self->read_only[i] = (struct span){(uint32_t)start, (uint32_t)end};
            last = (uint32_t)end;
        }
    }
    if (self->read_only == NULL) {
        PyErr_NoMemory();
        good = false;
    } else if (!good && !PyErr_Occurred()) {
        PyErr_SetString(PyExc_TypeError, "a read-only range is a tuple (start, end)");
    }
    self->read_only_count = (uint32_t)count;
    self->read_only_end = last;
    Py_DECREF(sequence);
    return good ? 0 : -1;
}

static PyObject *template_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    static char *names[] = {"stack_low", "heap_start", "heap_end", "read_only",
                            "data",      "present",    "shared",   "stack_top",
                            "upper_start", "upper_end", "stack_limit", NULL};
    unsigned long long stack_low, heap_start, heap_end, stack_top = TMEBOX_STACK_TOP, upper_start = 0, upper_end = 0;
    unsigned long long stack_limit = 0;
    PyObject *read_only, *data, *present;
    int shared = 0;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "KKKOOO|pKKKK:Template", names, &stack_low, &heap_start,
                                     &heap_end, &read_only, &data, &present, &shared, &stack_top, &upper_start,
                                     &upper_end, &stack_limit)) {
        return NULL;
    }
    struct template *self = (struct template *)type->tp_alloc(type, 0);
    if (self == NULL || PyObject_GetBuffer(data, &self->buffer, PyBUF_SIMPLE) < 0 ||
        PyObject_GetBuffer(present, &self->present, PyBUF_SIMPLE) < 0) {
        Py_XDECREF(self);
        return NULL;
    }
    size_t size = (size_t)self->buffer.len;
    if (!is_sane(stack_low, stack_top, heap_start, heap_end, upper_start, upper_end, size) ||
        !tmebox_is_upper(upper_start, upper_end) || !is_page_aligned(stack_limit) ||
        (stack_limit != 0 && (stack_limit < stack_low || stack_limit >= stack_top)) ||
        (size_t)self->present.len != (size / PAGE + 7) / 8 ||
        (shared && (uintptr_t)self->buffer.buf % PAGE)) {
        PyErr_SetString(PyExc_ValueError, "an impossible layout");
        Py_DECREF(self);
        return NULL;
    }
    self->data = self->buffer.buf;
    self->shared = shared;
    self->pages = (uint32_t)(size / PAGE);
    self->stack_low = (uint32_t)stack_low;
    self->heap_start = (uint32_t)heap_start;
    self->heap_end = (uint32_t)heap_end;
    self->stack_top = (uint32_t)stack_top;
    self->stack_limit = (uint32_t)(stack_limit != 0 ? stack_limit : stack_low);
    self->upper_start = (uint32_t)upper_start;
    self->upper_end = (uint32_t)upper_end;
    if (fill_read_only(self, read_only) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static void template_dealloc(PyObject *object) {
    struct template *self = (struct template *)object;
    PyBuffer_Release(&self->buffer);
    PyBuffer_Release(&self->present);
    PyMem_Free(self->read_only);
    Py_TYPE(object)->tp_free(object);
}

PyTypeObject tmebox_template_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "tmebox._native.Template",
    .tp_doc = "Template(stack_low, heap_start, heap_end, read_only, data, present, shared=False, stack_top=…,\n"
              "upper_start=0, upper_end=0, stack_limit=stack_low)\n\n"
              "What windows of one kind hold at first.",
    .tp_basicsize = sizeof(struct template),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = template_new,
    .tp_dealloc = template_dealloc,
};
