/* Mapping and copying host memory. Thin: what may be mapped where is decided in Python. */
#include "fixed.h"
#include "windows/window.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

static PyObject *fail(void) {
    return PyErr_SetFromErrno(PyExc_OSError);
}

static PyObject *done(int result) {
    if (result < 0) {
        return fail();
    }
    Py_RETURN_NONE;
}

/* Addresses and sizes come from Python code of this package, but a sum that wraps must never reach mmap. */
static bool sane(unsigned long long address, unsigned long long size_bytes) {
    if (size_bytes == 0 || address + size_bytes < address || address + size_bytes > 1ULL << 57) {
        PyErr_SetString(PyExc_ValueError, "an empty or impossible address range");
        return false;
    }
    return true;
}

static PyObject *memory_reserve(PyObject *module, PyObject *args) {
    (void)module;
    unsigned long long address, size_bytes;
    if (!PyArg_ParseTuple(args, "KK:reserve", &address, &size_bytes) || !sane(address, size_bytes)) {
        return NULL;
    }
    void *got = (void *)address;
    if (address == 0) {
        got = mmap(NULL, size_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    }
    if (got == MAP_FAILED || (address != 0 && !tmebox_map_free(got, size_bytes, PROT_NONE))) {
        return fail();
    }
    tmebox_never_merge(got, size_bytes);
    return PyLong_FromUnsignedLongLong((uintptr_t)got);
}

_Atomic uint64_t tmebox_texts_gone;

int tmebox_map_zero(void *address, size_t size, int protection) {
    if ((uint64_t)(uintptr_t)address < TMEBOX_CODE_END && (uint64_t)(uintptr_t)address + size > TMEBOX_CODE_BASE) {
        atomic_fetch_add(&tmebox_texts_gone, 1);
    }
    /* Only a new mapping gives back what the system sets aside for memory that may be written, where it does so
     * (vm.overcommit_memory=2). */
    if (protection == PROT_NONE && tmebox_map_over(address, size, PROT_NONE)) {
        uint64_t base;
        bool in_window = tmebox_find_window((uintptr_t)address, &base) != NULL;
        bool advised = in_window ? tmebox_keep_to_process(address, size) : tmebox_never_merge(address, size);
        return advised || !in_window ? 0 : -1;
    }
    /* Else those mappings do that are there: private ones without a file, whose pages come back as zeros. Protection
     * first: zeros in a sandbox's text would be instructions, `add %al, (%rax)`, that nobody verified and that write
     * anywhere. Memory that the host locks does not go before it is unlocked. */
    bool zero = mprotect(address, size, protection) == 0 &&
                (madvise(address, size, MADV_DONTNEED) == 0 ||
                 (munlock(address, size) == 0 && madvise(address, size, MADV_DONTNEED) == 0));
    return zero ? 0 : -1;
}

static PyObject *memory_map_zero(PyObject *module, PyObject *args) {
    (void)module;
    unsigned long long address, size_bytes;
    int protection;
    if (!PyArg_ParseTuple(args, "KKi:map_zero", &address, &size_bytes, &protection) ||
        !sane(address, size_bytes)) {
        return NULL;
    }
    return done(tmebox_map_zero((void *)address, size_bytes, protection));
}

static PyObject *memory_protect(PyObject *module, PyObject *args) {
    (void)module;
    unsigned long long address, size_bytes;
    int protection;
    if (!PyArg_ParseTuple(args, "KKi:protect", &address, &size_bytes, &protection) ||
        !sane(address, size_bytes)) {
        return NULL;
    }
    return done(mprotect((void *)address, size_bytes, protection));
}

static PyObject *memory_discard(PyObject *module, PyObject *args) {
    (void)module;
    unsigned long long address, size_bytes;
    if (!PyArg_ParseTuple(args, "KK:discard", &address, &size_bytes) || !sane(address, size_bytes)) {
        return NULL;
    }
    return done(madvise((void *)address, size_bytes, MADV_DONTNEED));
}

static PyObject *memory_unmap(PyObject *module, PyObject *args) {
    (void)module;
    unsigned long long address, size_bytes;
    if (!PyArg_ParseTuple(args, "KK:unmap", &address, &size_bytes) || !sane(address, size_bytes)) {
        return NULL;
    }
    return done(munmap((void *)address, size_bytes));
}

/* A page of a window that is not there yet is installed when it is touched, for which there may be no memory. */
static PyObject *no_page(void) {
    PyErr_SetString(tmebox_limit_error, "the system has no memory for a page of a sandbox: close sandboxes, give "
                                        "them less memory=, or add memory");
    return NULL;
}

static PyObject *memory_read(PyObject *module, PyObject *args) {
    (void)module;
    unsigned long long address;
    Py_ssize_t size_bytes;
    if (!PyArg_ParseTuple(args, "Kn:read", &address, &size_bytes)) {
        return NULL;
    }
    if (size_bytes < 0) {
        PyErr_SetString(PyExc_ValueError, "a negative size");
        return NULL;
    }
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, size_bytes);
    if (bytes != NULL &&
        tmebox_window_copy(PyBytes_AS_STRING(bytes), (const void *)address, (size_t)size_bytes).how != 0) {
        Py_DECREF(bytes);
        return no_page();
    }
    return bytes;
}

/* The source may be a view of the same window. */
bool tmebox_write_buffer(uint64_t address, const Py_buffer *data) {
    const char *from = data->buf;
    size_t size = (size_t)data->len;
    char *between = NULL;
    if (address - (uint64_t)(uintptr_t)from < size) { /* the copy runs upwards */
        between = PyMem_Malloc(size);
        if (between == NULL || tmebox_window_copy(between, from, size).how != 0) {
            PyMem_Free(between);
            PyErr_NoMemory();
            return false;
        }
        from = between;
    }
    bool good = tmebox_window_copy((void *)address, from, size).how == 0;
    PyMem_Free(between);
    if (!good) {
        no_page();
    }
    return good;
}

static PyObject *memory_write(PyObject *module, PyObject *args) {
    (void)module;
    unsigned long long address;
    Py_buffer data;
    if (!PyArg_ParseTuple(args, "Ky*:write", &address, &data)) {
        return NULL;
    }
    bool good = tmebox_write_buffer(address, &data);
    PyBuffer_Release(&data);
    return good ? Py_NewRef(Py_None) : NULL;
}

static PyObject *memory_buffer_address(PyObject *module, PyObject *object) {
    (void)module;
    Py_buffer view;
    if (PyObject_GetBuffer(object, &view, PyBUF_C_CONTIGUOUS) < 0) {
        if (!PyErr_ExceptionMatches(PyExc_BufferError)) {
            PyErr_Clear();
            PyErr_Format(PyExc_BufferError, "%.100s has no C-contiguous buffer", Py_TYPE(object)->tp_name);
        }
        return NULL;
    }
    PyObject *result = Py_BuildValue("KnO", (unsigned long long)(uintptr_t)view.buf, view.len,
                                     view.readonly ? Py_True : Py_False);
    PyBuffer_Release(&view);
    return result;
}

PyMethodDef tmebox_memory_methods[] = {
    {"reserve", memory_reserve, METH_VARARGS,
     "reserve(address, size_bytes) -> address\n\nPROT_NONE; 0: anywhere."},
    {"map_zero", memory_map_zero, METH_VARARGS, "map_zero(address, size_bytes, protection)"},
    {"protect", memory_protect, METH_VARARGS, "protect(address, size_bytes, protection)"},
    {"discard", memory_discard, METH_VARARGS, "discard(address, size_bytes)\n\nContents become zero."},
    {"unmap", memory_unmap, METH_VARARGS, "unmap(address, size_bytes)"},
    {"read", memory_read, METH_VARARGS, "read(address, size_bytes) -> bytes"},
    {"write", memory_write, METH_VARARGS, "write(address, data)"},
    {"buffer_address", memory_buffer_address, METH_O,
     "buffer_address(obj) -> (address, size_bytes, read_only)"},
    {NULL, NULL, 0, NULL},
};
