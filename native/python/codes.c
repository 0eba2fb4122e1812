/* Conversion between Python objects and 64-bit register words, one code letter per C type:
 * b B h H i I l L integers of 8 … 64 bits (lower case: signed), ? bool, f d, p pointer, P pointer to const,
 * v void (results only); V a struct by value, which structlayout.c converts. */
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

/* Where a struct by value goes: all of it into registers, or all of it onto the stack. False with ValueError set. */
static bool place_struct(struct signature *signature, struct parameter *parameter, struct by_value given, int *integers) {
    const char *passing = given.passing != NULL ? given.passing : "";
    int vectors = (passing[0] == 'x') + (passing[0] != 0 && passing[1] == 'x');
    int count = (int)strlen(passing), words = *passing != 0 ? (int)(given.size + 7) / 8 : 0;
    bool in_registers = count == words && *passing != 'm' && *integers + count - vectors <= 6 &&
                        signature->vector_count + vectors <= TMEBOX_VECTOR_ARGUMENT_COUNT;
    if (words == 0 || signature->stack_count + words > MAX_ARGUMENTS) {
        PyErr_SetString(PyExc_ValueError, "a struct that is not passed by value here");
        return false;
    }
    parameter->words = (uint8_t)words;
    if (!in_registers) {
        parameter->place = ON_STACK;
        parameter->index = (uint8_t)signature->stack_count;
        signature->stack_count += words;
        return true;
    }
    parameter->place = passing[0] == 'x' ? IN_VECTOR : IN_INTEGER;
    parameter->index = (uint8_t)(passing[0] == 'x' ? signature->vector_count++ : (*integers)++);
    if (words == 2) {
        parameter->second_place = passing[1] == 'x' ? IN_VECTOR : IN_INTEGER;
        parameter->second_index = (uint8_t)(passing[1] == 'x' ? signature->vector_count++ : (*integers)++);
    }
    return true;
}

/* Whether a result of that code can be. */
static bool is_result(char letter, const struct by_value *by_value) {
    if (letter == STRUCT_VALUE) {
        return by_value != NULL && by_value->passing != NULL && *by_value->passing != 0;
    }
    return code_of(letter).kind != NONE;
}

static int parse(struct signature *signature, const char *arguments, const char *result,
                 const struct by_value *by_value, bool for_host) {
    size_t count = strlen(arguments);
    if (count > MAX_ARGUMENTS) {
        PyErr_Format(PyExc_ValueError, "%zu parameters; at most %d convert here", count, MAX_ARGUMENTS);
        return -1;
    }
    if (strlen(result) != 1 || !is_result(*result, by_value)) {
        PyErr_Format(PyExc_ValueError, "'%s' is not a result code", result);
        return -1;
    }
    memset(signature, 0, sizeof *signature);
    signature->returns_memory = *result == STRUCT_VALUE && *by_value->passing == 'm';
    signature->pointers = *result == STRUCT_VALUE;
    int integers = signature->returns_memory;
    for (size_t i = 0; i < count; i++) {
        struct parameter *parameter = &signature->parameters[i];
        if (arguments[i] == STRUCT_VALUE && by_value != NULL) {
            parameter->code = STRUCT_VALUE;
            signature->pointers = true;
            if (!place_struct(signature, parameter, by_value[1 + i], &integers)) {
                return -1;
            }
            continue;
        }
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
        } else if (signature->stack_count == MAX_ARGUMENTS) { /* structs are there */
            PyErr_SetString(PyExc_ValueError, "too much on the stack");
            return -1;
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

int tmebox_parse_signature(struct signature *signature, const char *arguments, const char *result,
                           const struct by_value *by_value) {
    return parse(signature, arguments, result, by_value, false);
}

int tmebox_parse_import_signature(struct signature *signature, const char *arguments, const char *result) {
    return parse(signature, arguments, result, NULL, true);
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
