/* Side execution in Python: who makes the forms of instructions, and what is known of them. */
#include "enter/side.h"
#include "python/face.h"

#include <errno.h>
#include <string.h>

static PyObject *maker;

static bool is_register(uint8_t number) {
    return number < SIDE_REGISTERS;
}

/* What would make the core read or write beside what it has. Whether the form is right was decided in Python. */
static bool is_possible(const struct side_shape *shape) {
    bool runs_stub = shape->kind == SIDE_STUB || shape->kind == SIDE_MASKED;
    bool is_string = shape->kind == SIDE_STORE_STRING || shape->kind == SIDE_MOVE_STRING;
    bool has_place = (is_register(shape->base) || shape->base == SIDE_RIP || shape->base == SIDE_NONE) &&
                     (is_register(shape->index) || shape->index == SIDE_NONE);
    bool has_mask = is_register(shape->mask) && (shape->lane == 4 || shape->lane == 8) && shape->size <= 32 &&
                    shape->size % shape->lane == 0;
    return shape->kind < SIDE_KINDS && has_place && shape->size > 0 && shape->size <= 64 &&
           (!is_string || (shape->size <= 8 && (shape->size & (shape->size - 1)) == 0)) &&
           (shape->kind != SIDE_MASKED || has_mask) &&
           (!runs_stub || (shape->stub_length != 0 && is_register(shape->pointer) &&
                           (is_register(shape->for_rsp) || shape->for_rsp == SIDE_NONE)));
}

/* The same order as in runtime/side.py. */
static bool shape_of(PyObject *form, struct side_shape *shape) {
    const char *encoding, *stub;
    Py_ssize_t length, stub_length;
    memset(shape, 0, sizeof *shape);
    if (!PyTuple_Check(form)) {
        PyErr_SetString(PyExc_TypeError, "a form is a tuple");
        return false;
    }
    if (!PyArg_ParseTuple(form, "y#y#bbbbbbiIbbbbI:form", &encoding, &length, &stub, &stub_length, &shape->kind,
                          &shape->how, &shape->flags, &shape->base, &shape->index, &shape->scale,
                          &shape->displacement, &shape->size, &shape->pointer, &shape->for_rsp, &shape->mask,
                          &shape->lane, &shape->state)) {
        return false;
    }
    if (length < 1 || length > SIDE_LONGEST || stub_length > SIDE_LONGEST) {
        PyErr_SetString(PyExc_ValueError, "an instruction of another length");
        return false;
    }
    shape->length = (uint8_t)length;
    memcpy(shape->encoding, encoding, (size_t)length);
    shape->stub_length = (uint8_t)stub_length;
    memcpy(shape->stub, stub, (size_t)stub_length);
    if (!is_possible(shape)) {
        PyErr_SetString(PyExc_ValueError, "an impossible form");
        return false;
    }
    return true;
}

static bool publish(PyObject *form) {
    struct side_shape shape;
    if (!shape_of(form, &shape)) {
        return false;
    }
    int error = tmebox_side_publish(&shape);
    if (error != 0 && error != EAGAIN) { /* the instruction will ask again */
        PyErr_Format(tmebox_limit_error,
                     "no memory, or no file descriptor, for executing instructions on a sandbox's behalf (%s): raise "
                     "`ulimit -n`, `ulimit -v` or vm.max_map_count",
                     strerror(error));
        return false;
    }
    return true;
}

static int make_form(uint64_t address) {
    uint8_t bytes[SIDE_LONGEST];
    size_t length = tmebox_side_read(address, bytes);
    if (length == 0) { /* the text went meanwhile: the instruction will fault otherwise */
        return 0;
    }
    if (maker == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "nobody makes forms of instructions");
        return -1;
    }
    PyObject *make = Py_NewRef(maker); /* may be replaced meanwhile */
    PyObject *form = PyObject_CallFunction(make, "y#", (const char *)bytes, (Py_ssize_t)length);
    Py_DECREF(make);
    bool made = form != NULL && publish(form);
    Py_XDECREF(form);
    return made ? 0 : -1;
}

static PyObject *set_side_maker(PyObject *module, PyObject *callable) {
    (void)module;
    Py_XSETREF(maker, Py_NewRef(callable));
    Py_RETURN_NONE;
}

static PyObject *side_publish(PyObject *module, PyObject *form) {
    (void)module;
    if (!publish(form)) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *side_counts(PyObject *module, PyObject *unused) {
    (void)module, (void)unused;
    struct side_counts counts = tmebox_side_count();
    return Py_BuildValue("IKK", (unsigned)counts.kept, (unsigned long long)counts.published,
                         (unsigned long long)counts.evicted);
}

PyMethodDef tmebox_side_methods[] = {
    {"set_side_maker", set_side_maker, METH_O,
     "set_side_maker(make)\n\nmake(bytes) -> the form of the instruction that they begin with."},
    {"side_publish", side_publish, METH_O, "side_publish(form)\n\nMake a form known before it is needed."},
    {"side_counts", side_counts, METH_NOARGS,
     "side_counts() -> (kept, published, evicted)\n\nForms of instructions that were executed on the side."},
    {NULL, NULL, 0, NULL},
};

int tmebox_init_side(void) {
    tmebox_make_side_form = make_form;
    int error = tmebox_side_init();
    if (error != 0) {
        errno = error;
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    return 0;
}
