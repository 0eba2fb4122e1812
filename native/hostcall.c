/* Sandboxed code calling a function the host offered. Everything that arrives is untrusted: the index, the
 * registers, and a stack pointer that may point anywhere in the window's private half. */
#include "native.h"

#include <signal.h>
#include <string.h>

int tmebox_hostcall(struct activation *activation);

/* What the host has instead of a function that only makes traps may know how it came to this. */
static PyObject *closed_error(const struct instance *instance) {
    PyObject *make_trap = Py_XNewRef(instance->make_trap); /* may be replaced meanwhile */
    PyObject *error = make_trap == NULL ? NULL : PyObject_CallMethod(make_trap, "closed_error", NULL);
    Py_XDECREF(make_trap);
    if (error != NULL && !PyExceptionInstance_Check(error)) {
        Py_CLEAR(error);
    }
    if (error == NULL && PyErr_Occurred() && PyErr_ExceptionMatches(PyExc_AttributeError)) {
        PyErr_Clear();
    }
    return error;
}

void tmebox_raise_closed(const struct instance *instance) {
    if (instance->generation != tmebox_generation) {
        PyErr_SetString(tmebox_closed_error,
                        "the sandbox belongs to the process that this one was forked from");
        return;
    }
    PyObject *error = closed_error(instance);
    if (error != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        Py_DECREF(error);
    } else if (!PyErr_Occurred()) {
        PyErr_SetString(tmebox_closed_error, "the sandbox was closed, or a trap ended it");
    }
}

static bool is_trap(struct activation *activation, struct window_fault fault) {
    if (fault.how == 0) {
        return false;
    }
    tmebox_trap_in_host(activation, fault);
    return true;
}

/* Argument words in the order of the parameters. */
static bool read_words(struct activation *activation, const struct signature *signature, uint64_t *words) {
    uint64_t stack[MAX_ARGUMENTS];
    if (signature->stack_count != 0) {
        const void *from = (const void *)(activation->rsp + 8); /* above the return address */
        if (is_trap(activation, tmebox_window_copy(stack, from, 8 * (size_t)signature->stack_count))) {
            return false;
        }
    }
    for (int i = 0; i < signature->count; i++) {
        const struct parameter *parameter = &signature->parameters[i];
        const uint64_t *from = parameter->place == IN_INTEGER  ? activation->integers
                               : parameter->place == IN_VECTOR ? activation->vectors
                                                               : stack;
        words[i] = from[parameter->index];
    }
    return true;
}

static bool is_floating(char code) {
    return code == 'f' || code == 'd';
}

static int call_typed(struct activation *activation, const struct import *import) {
    PyObject *handler = import->handler;
    const struct signature *signature = &import->signature;
    uint64_t words[MAX_ARGUMENTS];
    PyObject *arguments[MAX_ARGUMENTS + 1], *result = NULL;
    if (!read_words(activation, signature, words)) {
        return -1;
    }
    int made = 0;
    while (made < signature->count) {
        PyObject *argument = tmebox_from_word(signature->parameters[made].code, words[made]);
        if (argument == NULL) {
            break;
        }
        arguments[++made] = argument;
    }
    if (made == signature->count) {
        result =
            PyObject_Vectorcall(handler, arguments + 1, (size_t)made | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    }
    for (int i = 1; i <= made; i++) {
        Py_DECREF(arguments[i]);
    }
    if (result == NULL) {
        return -1;
    }
    uint64_t word;
    bool fits = tmebox_to_word(signature->result, result, &word);
    if (!fits) {
        PyErr_Format(PyExc_TypeError, "host function %s returned %R, which does not fit its result",
                     import->name, result);
    }
    Py_DECREF(result);
    if (!fits) {
        return -1;
    }
    bool floating = is_floating(signature->result);
    activation->rax = floating ? 0 : word;
    activation->rdx = 0;
    activation->vectors[0] = floating ? word : 0;
    activation->vectors[1] = 0;
    return 0;
}

/* A word of a raw result, any sign. */
static bool to_register(PyObject *value, uint64_t *word) {
    if (!PyLong_Check(value)) {
        PyErr_SetString(PyExc_TypeError, "a raw host function returns a tuple of integers");
        return false;
    }
    *word = PyLong_AsUnsignedLongLongMask(value);
    return *word != UINT64_MAX || !PyErr_Occurred();
}

static int call_raw(struct activation *activation, PyObject *handler) {
    const uint64_t *in = activation->integers;
    uint32_t stack_offset = (uint32_t)(activation->rsp + 8 - activation->instance->base);
    PyObject *result =
        PyObject_CallFunction(handler, "(KKKKKK)y#I", (unsigned long long)in[0], (unsigned long long)in[1],
                              (unsigned long long)in[2], (unsigned long long)in[3], (unsigned long long)in[4],
                              (unsigned long long)in[5], (const char *)activation->vectors,
                              (Py_ssize_t)sizeof activation->vectors, (unsigned int)stack_offset);
    if (result == NULL) {
        return -1;
    }
    uint64_t words[4] = {0, 0, 0, 0}; /* rax, xmm0, rdx, xmm1 */
    Py_ssize_t size = PyTuple_Check(result) ? PyTuple_GET_SIZE(result) : 0;
    bool good = size == 2 || size == 4;
    if (!good) {
        PyErr_SetString(PyExc_TypeError, "a raw host function returns (rax, xmm0) or (rax, xmm0, rdx, xmm1)");
    }
    for (Py_ssize_t i = 0; good && i < size; i++) {
        good = to_register(PyTuple_GET_ITEM(result, i), &words[i]);
    }
    Py_DECREF(result);
    activation->rax = words[0];
    activation->vectors[0] = words[1];
    activation->rdx = words[2];
    activation->vectors[1] = words[3];
    return good ? 0 : -1;
}

/* 0, or -1 with the outcome decided. */
static int dispatch(struct activation *activation) {
    struct instance *instance = activation->instance;
    if (activation->rsp - instance->base >= TMEBOX_PRIVATE_END) {
        tmebox_trap_in_host(activation,
                            (struct window_fault){activation->rsp, SIGSEGV | (uint64_t)SEGV_MAPERR << 32});
        return -1;
    }
    if (activation->index >= instance->import_count) {
        tmebox_trap_in_host(activation,
                            (struct window_fault){0, SIGILL | 0xff << 8 | (uint64_t)ILL_ILLTRP << 32});
        return -1;
    }
    /* The table cannot change while a call runs. */
    const struct import *import = &instance->imports[activation->index];
    int result = import->raw ? call_raw(activation, import->handler)
                             : call_typed(activation, import);
    if (result < 0 && activation->outcome == RETURNED) {
        activation->outcome = RAISED;
    }
    return result;
}

int tmebox_hostcall(struct activation *activation) {
    tmebox_suspend(activation);
    if (dispatch(activation) < 0) {
        activation->thread->current = activation;
        return -1;
    }
    return tmebox_resume(activation);
}

/* What is left of its time to the call that this thread is in, by the watchdog's clock. */
static PyObject *remaining_time(PyObject *module, PyObject *unused) {
    (void)module, (void)unused;
    struct thread *thread = tmebox_thread;
    uint64_t sequence = thread == NULL ? 0 : atomic_load(&thread->sequence);
    if (sequence == 0) {
        Py_RETURN_NONE;
    }
    uint64_t now = atomic_load(&tmebox_watchdog_clock_ns);
    uint64_t timeout = atomic_load(&thread->timeout_ns), deadline = atomic_load(&thread->deadline_ns);
    if (timeout != 0) {
        bool seen = atomic_load(&thread->seen_sequence) == sequence;
        uint64_t own = (seen ? atomic_load(&thread->seen_ns) : now) + timeout;
        deadline = deadline == 0 || own < deadline ? own : deadline;
    }
    if (deadline == 0) {
        Py_RETURN_NONE;
    }
    bool late = now >= deadline || atomic_load(&thread->expired) == sequence;
    return PyFloat_FromDouble(late ? 0.0 : (double)(deadline - now) * 1e-9);
}

PyMethodDef tmebox_hostcall_methods[] = {
    {"remaining_time", remaining_time, METH_NOARGS,
     "remaining_time() -> float | None\n\nSeconds; None outside of calls and without a limit."},
    {NULL, NULL, 0, NULL},
};
