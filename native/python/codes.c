/* Conversion between Python objects and 64-bit register words, one code letter per C type:
 * b B h H i I l L integers of 8 … 64 bits (lower case: signed), ? bool, f d, p pointer, P pointer to const,
 * v void (results only). */
#include "python/face.h"

#include <math.h>
#include <string.h>

enum kind { NONE, SIGNED, UNSIGNED, BOOLEAN, FLOAT, DOUBLE, POINTER, VOID };

struct code {
    uint8_t kind;
    uint8_t bits;
};

static const struct code codes[128] = {
    ['b'] = {SIGNED, 8},   ['B'] = {UNSIGNED, 8},  ['h'] = {SIGNED, 16}, ['H'] = {UNSIGNED, 16},
    ['i'] = {SIGNED, 32},  ['I'] = {UNSIGNED, 32}, ['l'] = {SIGNED, 64}, ['L'] = {UNSIGNED, 64},
    ['?'] = {BOOLEAN, 8},  ['f'] = {FLOAT, 32},    ['d'] = {DOUBLE, 64}, ['p'] = {POINTER, 32},
    ['P'] = {POINTER, 32}, ['v'] = {VOID, 0},
};

static struct code code_of(char letter) {
    return letter > 0 ? codes[(unsigned char)letter] : (struct code){NONE, 0};
}

/* What is a pointer in a register, and something else in Python, for host functions only. */
static bool is_given_to_hosts(char letter) {
    return letter == 's' || letter == 'y' || letter == 'o';
}

static int parse(struct signature *signature, const char *arguments, const char *result, bool for_host) {
    size_t count = strlen(arguments);
    if (count > MAX_ARGUMENTS) {
        PyErr_Format(PyExc_ValueError, "%zu parameters; at most %d convert here", count, MAX_ARGUMENTS);
        return -1;
    }
    if (strlen(result) != 1 || code_of(*result).kind == NONE) {
        PyErr_Format(PyExc_ValueError, "'%s' is not a result code", result);
        return -1;
    }
    memset(signature, 0, sizeof *signature);
    int integers = 0;
    for (size_t i = 0; i < count; i++) {
        struct parameter *parameter = &signature->parameters[i];
        enum kind kind = for_host && is_given_to_hosts(arguments[i]) ? POINTER : code_of(arguments[i]).kind;
        if (kind == NONE || kind == VOID) {
            PyErr_Format(PyExc_ValueError, "'%s': not an argument code at position %zu", arguments, i);
            return -1;
        }
        bool vector = kind == FLOAT || kind == DOUBLE;
        int *used = vector ? &signature->vector_count : &integers;
        parameter->code = arguments[i];
        parameter->takes_digit = (kind == SIGNED || kind == UNSIGNED || kind == POINTER) &&
                                 code_of(arguments[i]).bits > PyLong_SHIFT;
        if (*used < (vector ? TMEBOX_VECTOR_ARGUMENT_COUNT : 6)) {
            parameter->place = vector ? IN_VECTOR : IN_INTEGER;
            parameter->index = (uint8_t)(*used)++;
        } else {
            parameter->place = ON_STACK;
            parameter->index = (uint8_t)signature->stack_count++;
        }
        signature->pointers |= kind == POINTER;
    }
    signature->count = (int)count;
    signature->result = *result;
    return 0;
}

int tmebox_parse_signature(struct signature *signature, const char *arguments, const char *result) {
    return parse(signature, arguments, result, false);
}

int tmebox_parse_import_signature(struct signature *signature, const char *arguments, const char *result) {
    return parse(signature, arguments, result, true);
}

static bool signed_word(PyObject *value, int bits, uint64_t *word) {
    int overflow;
    long number = PyLong_AsLongAndOverflow(value, &overflow);
    if (overflow != 0) {
        return false;
    }
    long shift = 64 - bits;
    *word = (uint64_t)number;
    return (long)((uint64_t)number << shift) >> shift == number;
}

static bool unsigned_word(PyObject *value, int bits, uint64_t *word) {
    unsigned long number = PyLong_AsUnsignedLong(value);
    if (UNLIKELY(number == (unsigned long)-1) && PyErr_Occurred()) {
        PyErr_Clear();
        return false;
    }
    *word = number;
    return bits == 64 || number >> bits == 0;
}

static bool floating(PyObject *value, double *number) {
    if (LIKELY(PyFloat_Check(value))) {
        *number = PyFloat_AS_DOUBLE(value);
        return true;
    }
    if (!PyLong_Check(value)) {
        return false;
    }
    *number = PyLong_AsDouble(value);
    if (*number == -1.0 && PyErr_Occurred()) {
        PyErr_Clear();
        return false;
    }
    return true;
}

bool tmebox_to_word(char letter, PyObject *value, uint64_t *word) {
    struct code code = code_of(letter);
    double number;
    switch ((enum kind)code.kind) {
    case SIGNED:
        return PyLong_Check(value) && signed_word(value, code.bits, word);
    case UNSIGNED:
        return PyLong_Check(value) && unsigned_word(value, code.bits, word);
    case POINTER:
        *word = 0;
        return value == Py_None ||
               (PyLong_Check(value) && !PyBool_Check(value) && unsigned_word(value, code.bits, word));
    case BOOLEAN:
        *word = value == Py_True;
        return PyBool_Check(value);
    case DOUBLE:
        if (!floating(value, &number)) {
            return false;
        }
        memcpy(word, &number, sizeof number);
        return true;
    case FLOAT: {
        if (!floating(value, &number)) {
            return false;
        }
        float narrow = (float)number;
        if (UNLIKELY(isinf(narrow)) && !isinf(number)) {
            return false;
        }
        *word = 0;
        memcpy(word, &narrow, sizeof narrow);
        return true;
    }
    case VOID:
        *word = 0;
        return true;
    case NONE:
        break;
    }
    return false;
}

PyObject *tmebox_from_word(char letter, uint64_t word) {
    struct code code = code_of(letter);
    switch ((enum kind)code.kind) {
    case SIGNED: {
        int shift = 64 - code.bits;
        return PyLong_FromLong((long)(word << shift) >> shift);
    }
    case UNSIGNED:
    case POINTER: {
        int shift = 64 - code.bits;
        return PyLong_FromUnsignedLong(word << shift >> shift);
    }
    case BOOLEAN:
        return PyBool_FromLong((word & 0xff) != 0);
    case DOUBLE: {
        double number;
        memcpy(&number, &word, sizeof number);
        return PyFloat_FromDouble(number);
    }
    case FLOAT: {
        float number;
        memcpy(&number, &word, sizeof number);
        return PyFloat_FromDouble((double)number);
    }
    case VOID:
    case NONE:
        break;
    }
    Py_RETURN_NONE;
}
