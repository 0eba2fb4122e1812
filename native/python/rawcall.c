/* Instance.call: a call whose registers and stack words the caller has made. */
#include "enter/datapath.h"
#include "enter/enter.h"
#include "python/face.h"

#include <math.h>
#include <string.h>

/* Stack arguments of one call; far less than the guard below the stack. */
#define MAX_STACK_WORDS (32 * 1024)

int tmebox_timeout_from(double seconds, uint64_t *timeout_ns) {
    if (isnan(seconds) || seconds < 0) {
        PyErr_SetString(PyExc_ValueError, "a time limit is a number of seconds, 0 for none");
        return -1;
    }
    double ns = ceil(seconds * 1e9);
    *timeout_ns = ns < 4e18 ? (uint64_t)ns : 0; /* a century is no limit */
    return 0;
}

static int fill_words(PyObject *values, uint64_t *words, Py_ssize_t limit, const char *what) {
    PyObject *sequence = PySequence_Tuple(values);
    if (sequence == NULL) {
        return -1;
    }
    Py_ssize_t count = PyTuple_GET_SIZE(sequence);
    if (count > limit) {
        PyErr_Format(PyExc_ValueError, "at most %zd %s", limit, what);
        count = -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *value = PyTuple_GET_ITEM(sequence, i);
        if (!PyLong_Check(value)) {
            PyErr_Format(PyExc_TypeError, "%s are integers", what);
            count = -1;
            break;
        }
        words[i] = PyLong_AsUnsignedLongLongMask(value);
        if (words[i] == UINT64_MAX && PyErr_Occurred()) {
            count = -1;
        }
    }
    Py_DECREF(sequence);
    return (int)count;
}

PyObject *tmebox_instance_call(PyObject *object, PyObject *args) {
    struct instance *self = (struct instance *)object;
    struct activation activation;
    unsigned long long address;
    PyObject *integers, *vectors;
    Py_buffer stack;
    double seconds;
    activation.descriptors = NULL;
    activation.text_used = 0;
    if (!PyArg_ParseTuple(args, "KOOy*d|O!:call", &address, &integers, &vectors, &stack, &seconds,
                          &tmebox_guest_descriptors_type, &activation.descriptors)) {
        return NULL;
    }
    PyObject *result = NULL;
    uint64_t timeout_ns = self->timeout_ns;
    int vector_count;
    memset(activation.integers, 0, sizeof activation.integers);
    memset(activation.vectors, 0, sizeof activation.vectors);
    if (address < TMEBOX_CODE_BASE || address >= TMEBOX_GATE_BASE) {
        PyErr_SetString(PyExc_ValueError, "not an address of sandboxed code");
    } else if (stack.len % 8 != 0 || stack.len > 8 * MAX_STACK_WORDS) {
        PyErr_Format(PyExc_ValueError, "%zd bytes of stack arguments", stack.len);
    } else if (fill_words(integers, activation.integers, 6, "integer registers") >= 0 &&
               (vector_count = fill_words(vectors, activation.vectors, 8, "vector registers")) >= 0 &&
               (seconds < 0 || tmebox_timeout_from(seconds, &timeout_ns) == 0)) {
        activation.address = address;
        activation.vector_count = (uint32_t)vector_count;
        if (tmebox_run(self, &activation, stack.buf, (size_t)stack.len / 8, timeout_ns) == 0) {
            result = Py_BuildValue(
                "KKKK", (unsigned long long)activation.rax, (unsigned long long)activation.rdx,
                (unsigned long long)activation.vectors[0], (unsigned long long)activation.vectors[1]);
        }
    }
    PyBuffer_Release(&stack);
    return tmebox_called(self, result);
}
