/* What it costs to enter a sandbox and to leave it, without Python around it: for `tmebox bench calls`.
 *
 * Every figure is of calls as Python makes them, with all of their checks. */
#include "python/face.h"

#include <time.h>

static double monotonic_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static bool is_plain(PyObject *function) {
    if (!tmebox_is_plain(function)) {
        PyErr_SetString(PyExc_TypeError, "crossings are timed with functions of type void (void)");
        return false;
    }
    return true;
}

static PyObject *time_crossings(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *function;
    unsigned int times;
    if (!PyArg_ParseTuple(args, "OI:time_crossings", &function, &times) || !is_plain(function)) {
        return NULL;
    }
    if (times == 0) {
        PyErr_SetString(PyExc_ValueError, "a call enters at least once");
        return NULL;
    }
    double start_s = monotonic_s();
    if (tmebox_call_plain(function, times, NULL) < 0) {
        return NULL;
    }
    return PyFloat_FromDouble(monotonic_s() - start_s);
}

static PyObject *time_calls(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *functions;
    unsigned int times;
    if (!PyArg_ParseTuple(args, "O!I:time_calls", &PyTuple_Type, &functions, &times)) {
        return NULL;
    }
    Py_ssize_t count = PyTuple_GET_SIZE(functions);
    for (Py_ssize_t i = 0; i < count; i++) {
        if (!is_plain(PyTuple_GET_ITEM(functions, i))) {
            return NULL;
        }
    }
    double start_s = monotonic_s();
    for (unsigned int i = 0; i < times; i++) {
        for (Py_ssize_t j = 0; j < count; j++) {
            if (UNLIKELY(tmebox_call_plain(PyTuple_GET_ITEM(functions, j), 1, NULL) < 0)) {
                return NULL;
            }
        }
    }
    return PyFloat_FromDouble(monotonic_s() - start_s);
}

static PyObject *time_detections(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *function;
    unsigned int times;
    uint64_t detected = 0;
    if (!PyArg_ParseTuple(args, "OI:time_detections", &function, &times) || !is_plain(function)) {
        return NULL;
    }
    if (times == 0) {
        PyErr_SetString(PyExc_ValueError, "a call enters at least once");
        return NULL;
    }
    double start_s = monotonic_s();
    if (tmebox_call_plain(function, times, &detected) < 0) {
        return NULL;
    }
    return Py_BuildValue("dK", monotonic_s() - start_s, (unsigned long long)detected);
}

PyMethodDef tmebox_crossing_methods[] = {
    {"time_crossings", time_crossings, METH_VARARGS,
     "time_crossings(function, times) -> float\n\nSeconds of one call that enters so many times."},
    {"time_detections", time_detections, METH_VARARGS,
     "time_detections(function, times) -> (float, int)\n\nThe same, going on where memory found a wrong key."},
    {"time_calls", time_calls, METH_VARARGS,
     "time_calls(functions, times) -> float\n\nSeconds that so many rounds of calls take."},
    {NULL, NULL, 0, NULL},
};
