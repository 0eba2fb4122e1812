/* The host functions that one sandbox may call, and how their arguments are converted. */
#include "python/face.h"

#include <string.h>

void tmebox_free_import(struct import *import) {
    Py_XDECREF(import->handler);
    PyMem_Free(import->name);
    Py_XDECREF(import->convert);
    Py_XDECREF(import->read);
    Py_XDECREF(import->makers);
}

void tmebox_free_imports(struct import *imports, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        tmebox_free_import(&imports[i]);
    }
    PyMem_Free(imports);
}

static bool are_makers(PyObject *makers) {
    bool are = PyTuple_CheckExact(makers);
    for (Py_ssize_t i = 0; are && i < PyTuple_GET_SIZE(makers); i++) {
        PyObject *maker = PyTuple_GET_ITEM(makers, i);
        are = maker == Py_None || PyCallable_Check(maker);
    }
    return are;
}

int tmebox_parse_import(struct import *import, PyObject *row) {
    PyObject *handler, *convert = NULL, *read = NULL, *makers = NULL;
    const char *arguments, *result, *name = "(unnamed)";
    int system = 0;
    if (PyUnicode_Check(row)) {
        if (PyUnicode_CompareWithASCIIString(row, "shared_heap") != 0) {
            PyErr_Format(PyExc_ValueError, "the core has no function %R", row);
            return -1;
        }
        import->native = tmebox_shared_heap_call;
        return 0;
    }
    if (!PyTuple_Check(row)) {
        PyErr_SetString(PyExc_TypeError,
                        "an import is a tuple (handler, argument codes, result code[, name[, convert[, system[, read[, "
                        "makers]]]]])");
        return -1;
    }
    if (!PyArg_ParseTuple(row, "Oss|sOpOO:set_imports", &handler, &arguments, &result, &name, &convert, &system,
                          &read, &makers)) {
        return -1;
    }
    convert = convert != Py_None ? convert : NULL;
    read = read != Py_None ? read : NULL;
    import->system = system;
    if (!PyCallable_Check(handler) || (convert != NULL && !PyCallable_Check(convert)) ||
        (read != NULL && !PyCallable_Check(read))) {
        PyErr_SetString(PyExc_TypeError, "an import's handler, its convert and its read must be callable");
        return -1;
    }
    makers = makers != Py_None ? makers : NULL;
    if (makers != NULL && !are_makers(makers)) {
        PyErr_SetString(PyExc_TypeError, "makers is a tuple of callables and None");
        return -1;
    }
    bool raw = strcmp(arguments, "*") == 0;
    import->call = raw ? tmebox_call_raw : tmebox_call_typed;
    if (!raw && tmebox_parse_import_signature(&import->signature, arguments, result) < 0) {
        return -1;
    }
    import->name = PyMem_Malloc(strlen(name) + 1);
    if (import->name == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    memcpy(import->name, name, strlen(name) + 1);
    Py_INCREF(handler);
    import->handler = handler;
    import->convert = Py_XNewRef(convert);
    import->read = Py_XNewRef(read);
    import->makers = Py_XNewRef(makers);
    return 0;
}

PyObject *tmebox_set_imports(PyObject *object, PyObject *rows) {
    struct instance *self = (struct instance *)object;
    PyObject *sequence = PySequence_Tuple(rows);
    if (sequence == NULL) {
        return NULL;
    }
    Py_ssize_t count = PyTuple_GET_SIZE(sequence), parsed = 0;
    struct import *imports = NULL;
    if (count > TMEBOX_MAX_IMPORTS) {
        PyErr_Format(PyExc_ValueError, "%zd imports; at most %d are possible", count, TMEBOX_MAX_IMPORTS);
    } else if ((imports = PyMem_Calloc((size_t)count + 1, sizeof *imports)) == NULL) {
        PyErr_NoMemory();
    } else {
        while (parsed < count && tmebox_parse_import(&imports[parsed], PyTuple_GET_ITEM(sequence, parsed)) == 0) {
            parsed++;
        }
    }
    Py_DECREF(sequence);
    /* A running call may be using the old ones. */
    if (imports == NULL || parsed < count || self->depth != 0) {
        if (imports != NULL) {
            tmebox_free_imports(imports, (uint32_t)count);
        }
        return PyErr_Occurred() ? NULL : tmebox_raise_busy();
    }
    struct import *old = self->imports;
    uint32_t old_count = self->import_count;
    self->imports = imports;
    self->import_count = (uint32_t)count;
    self->system_import = NO_IMPORT;
    for (Py_ssize_t i = 0; i < count; i++) {
        self->system_import = imports[i].system ? (uint64_t)i : self->system_import;
    }
    tmebox_free_imports(old, old_count);
    Py_RETURN_NONE;
}
