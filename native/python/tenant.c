/* What an Instance does with its shared heap: it leaves, and has memory copied on its behalf. */
#include "python/heap.h"

void tmebox_instance_detach(struct instance *self) {
    if (self->heap == NULL) {
        return;
    }
    struct heap *heap = self->heap;
    uint16_t key = self->key;
    self->key = 0;
    self->heap = NULL;
    /* The window may have gone before, and the key with it. */
    if (self->generation == tmebox_generation && tmebox_heap_has_key(heap, key, self->key_serial)) {
        tmebox_heap_detach(heap, key);
    }
    tmebox_heap_let_go(heap);
}

PyObject *tmebox_instance_end_blocks(PyObject *object, PyObject *unused) {
    (void)unused;
    struct instance *self = (struct instance *)object;
    if (!tmebox_may_write(self)) {
        return NULL;
    }
    if (tmebox_heap_has_key(self->heap, self->key, self->key_serial)) {
        tmebox_heap_lock(&self->heap->lock);
        tmebox_heap_bury(self->heap);
        tmebox_heap_end_guest_blocks(self->heap, self->key);
        tmebox_heap_unlock(&self->heap->lock);
    }
    Py_RETURN_NONE;
}

/* False with an exception set. */
static bool has_heap(const struct instance *self, uint64_t offset, uint64_t size) {
    if (self->closed) { /* since whoever asks looked */
        tmebox_raise_closed(self);
        return false;
    }
    if (self->generation == tmebox_generation && tmebox_heap_has_key(self->heap, self->key, self->key_serial)) {
        return true;
    }
    PyErr_Format(PyExc_IndexError, "[%p, %p) is not the sandbox's memory: it has no shared heap",
                 (void *)(uintptr_t)offset, (void *)(uintptr_t)(offset + size));
    return false;
}

/* IndexError with the message, and for whoever logs it what the memory said, where, and under which key. */
static void not_its_own(uint64_t offset, uint64_t size, const struct heap_bad *bad) {
    PyObject *details = Py_BuildValue(
        "NiKi",
        PyUnicode_FromFormat("[%p, %p) is not all the sandbox's: it is in the shared heap, and some lines are "
                             "another's or nobody's",
                             (void *)(uintptr_t)offset, (void *)(uintptr_t)(offset + size)),
        bad->outcome, (unsigned long long)(bad->place + TMEBOX_SHARED_START), (int)bad->key);
    if (details != NULL) {
        PyErr_SetObject(PyExc_IndexError, details);
        Py_DECREF(details);
    }
}

PyObject *tmebox_instance_read_shared(PyObject *object, PyObject *args) {
    struct instance *self = (struct instance *)object;
    unsigned long long offset;
    Py_ssize_t size;
    if (!PyArg_ParseTuple(args, "Kn:read_shared", &offset, &size) || !has_heap(self, offset, (uint64_t)size)) {
        return NULL;
    }
    struct heap_bad bad = {offset - TMEBOX_SHARED_START, 0, self->key};
    if (size < 0 || (uint64_t)size > self->heap->size_bytes) {
        not_its_own(offset, (uint64_t)size, &bad);
        return NULL;
    }
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, size);
    if (bytes != NULL && size != 0 && has_heap(self, offset, (uint64_t)size) &&
        !tmebox_heap_copy_out(self->heap, self->key, PyBytes_AS_STRING(bytes), offset, (uint64_t)size, &bad)) {
        not_its_own(offset, (uint64_t)size, &bad);
    }
    if (PyErr_Occurred()) {
        Py_CLEAR(bytes);
    }
    return bytes;
}

PyObject *tmebox_instance_write_shared(PyObject *object, PyObject *args) {
    struct instance *self = (struct instance *)object;
    unsigned long long offset;
    Py_buffer data;
    if (!PyArg_ParseTuple(args, "Ky*:write_shared", &offset, &data)) {
        return NULL;
    }
    uint64_t size = (uint64_t)data.len;
    struct heap_bad bad;
    bool good = has_heap(self, offset, size) && tmebox_may_write(self);
    if (good && size != 0 && !tmebox_heap_copy_in(self->heap, self->key, offset, data.buf, size, &bad)) {
        not_its_own(offset, size, &bad);
        good = false;
    }
    PyBuffer_Release(&data);
    return good ? Py_NewRef(Py_None) : NULL;
}
