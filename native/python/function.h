/* What export.c makes and function.c calls. */
#ifndef TMEBOX_FUNCTION_H
#define TMEBOX_FUNCTION_H

#include "python/face.h"

/* What the functions of all sandboxes that one export makes have in common. */
struct export {
    PyObject_HEAD
    uint64_t address;
    PyObject *name;
    PyObject *slow;       /* slow(host, *args, **keywords), for arguments that do not convert here */
    PyObject *attributes; /* a dict: __doc__, __signature__ */
    PyObject *kinds;      /* a tuple: of each parameter, which typed pointers it takes; or NULL */
    PyObject *layouts;    /* a tuple: of each parameter, the StructLayout of what it is or points to, or None; or NULL */
    PyObject *result_layout; /* of a struct by value; or NULL */
    PyObject *finish;     /* a PointerMaker for the result; or NULL */
    vectorcallfunc vectorcall;
    struct signature signature;
};

struct function {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    struct instance *instance;
    struct export *export;
    PyObject *host;  /* what `slow` needs */
    PyObject *owner; /* kept alive; may be NULL */
    PyObject *dict;  /* made when something is put into it */
    PyObject *weak;
};

/* Ways to call a function, by what its arguments may be: the careful one, numbers in integer registers only, numbers
 * only, pointers among them. */
PyObject *tmebox_call_slow(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *keywords);
PyObject *tmebox_call_integers(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *keywords);
PyObject *tmebox_call_numbers(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *keywords);
PyObject *tmebox_call_pointers(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *keywords);

/* structvalues.c. False, without an exception, unless the value converts exactly. Runs no Python code. */
bool tmebox_put_struct(const struct parameter *parameter, PyObject *value, const struct instance *instance,
                       struct activation *activation, uint64_t *stack);
/* Its bytes; offset: where it was to be put, if it is returned in memory. False if nothing is there any more. */
bool tmebox_take_result(PyObject *layout, const struct instance *instance, const struct activation *activation,
                        uint64_t offset, unsigned char *to);

#endif
