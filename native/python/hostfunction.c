/* Host functions: what a sandbox's call of one is to Python. The arguments, and where they are read from, are
 * untrusted; that the stack pointer is in the window was checked in hostcall.c. */
#include "enter/control.h"
#include "enter/returns.h"
#include "python/face.h"
#include "enter/datapath.h"

#include <string.h>

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
        const void *from = (const void *)(tmebox_in_window(activation->instance, activation->rsp) + 8); /* above the return address */
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

/* A word of a raw result, any sign. */
static bool to_register(PyObject *value, uint64_t *word) {
    if (!PyLong_Check(value)) {
        PyErr_SetString(PyExc_TypeError, "a raw host function returns a tuple of integers");
        return false;
    }
    *word = PyLong_AsUnsignedLongLongMask(value);
    return *word != UINT64_MAX || !PyErr_Occurred();
}

/* What does not convert exactly goes through Python, which knows more types, and what to say of others. */
RARE static bool convert_result(const struct import *import, PyObject *result, uint64_t *word) {
    if (import->convert == NULL) {
        PyErr_Format(PyExc_TypeError, "host function %s returned %R, which does not fit its result",
                     import->name, result);
        return false;
    }
    PyObject *converted = PyObject_CallOneArg(import->convert, result);
    bool good = converted != NULL && to_register(converted, word);
    Py_XDECREF(converted);
    return good;
}

/* Texts are read in pieces of at most so many bytes, and longer ones by Python. */
#define TEXT_PIECE 256
#define TEXT_LONGEST 2048

/* The text at an offset, up to its NUL: its size, or -1 where Python has to look: it is long, or in the shared heap, or
 * there is none. The pieces do not cross pages, so that a text may end where memory does. */
static Py_ssize_t read_text(const struct activation *activation, uint64_t offset, char *text) {
    Py_ssize_t size = 0;
    while (size < TEXT_LONGEST - TEXT_PIECE && tmebox_guest_in_window(activation->instance, offset, 1)) {
        uint64_t left = TMEBOX_PAGE_SIZE - offset % TMEBOX_PAGE_SIZE, piece = size == 0 ? 64 : TEXT_PIECE;
        piece = left < piece ? left : piece;
        const void *from = (const void *)(activation->instance->base + offset);
        if (tmebox_window_copy(text + size, from, (size_t)piece).how != 0) {
            return -1;
        }
        const char *end = memchr(text + size, 0, (size_t)piece);
        if (end != NULL) {
            return end - text;
        }
        size += (Py_ssize_t)piece;
        offset += piece;
    }
    return -1;
}

static PyObject *text_argument(const struct activation *activation, const struct import *import, int index,
                               uint64_t word) {
    char text[TEXT_LONGEST];
    uint64_t offset = (uint32_t)word;
    if (offset == 0) {
        Py_RETURN_NONE;
    }
    Py_ssize_t size = read_text(activation, offset, text);
    if (size < 0 && import->read != NULL) {
        return PyObject_CallFunction(import->read, "iK", index, (unsigned long long)offset);
    }
    if (size < 0) {
        return PyErr_Format(PyExc_ValueError, "no text at %p", (void *)(uintptr_t)offset);
    }
    return import->signature.parameters[index].code == 's' ? PyUnicode_DecodeUTF8(text, size, "replace")
                                                           : PyBytes_FromStringAndSize(text, size);
}

/* An offset, or the object that a handle stands for. A handle's upper half is never zero, an offset's is. */
static PyObject *handle_argument(const struct activation *activation, uint64_t word) {
    if (LIKELY(word >> 32 == 0)) {
        return PyLong_FromUnsignedLong(word);
    }
    PyObject *handles = activation->instance->handles, *found = NULL;
    PyObject *key = PyLong_FromUnsignedLong(word);
    if (key != NULL && handles != NULL) {
        found = Py_XNewRef(PyDict_GetItemWithError(handles, key));
    }
    Py_XDECREF(key);
    if (found == NULL && !PyErr_Occurred()) {
        PyErr_SetString(tmebox_reference_error, "sandboxed code passed a pointer that is neither an offset nor a handle "
                                                "that is open");
    }
    return found;
}

static PyObject *make_argument(const struct activation *activation, const struct import *import, int index,
                               uint64_t word) {
    char code = import->signature.parameters[index].code;
    PyObject *maker = import->makers != NULL && index < PyTuple_GET_SIZE(import->makers)
                          ? PyTuple_GET_ITEM(import->makers, index)
                          : Py_None;
    if (maker != Py_None) {
        PyObject *offset = PyLong_FromUnsignedLong((uint32_t)word);
        PyObject *made = offset != NULL ? PyObject_CallOneArg(maker, offset) : NULL;
        Py_XDECREF(offset);
        return made;
    }
    return code == 's' || code == 'y' ? text_argument(activation, import, index, word)
           : code == 'o'              ? handle_argument(activation, word)
                                      : tmebox_from_word(code, word);
}

/* An exception of a callback that has something to return instead: it waits for the end of the call. */
RARE static bool postpone(struct activation *activation, const struct import *import) {
    if (!import->has_fallback || !PyErr_ExceptionMatches(PyExc_Exception)) {
        return false;
    }
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback != NULL) {
        PyException_SetTraceback(value, traceback);
    }
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    activation->rax = import->fallback[0];
    activation->vectors[0] = import->fallback[1];
    activation->rdx = import->fallback[2];
    activation->vectors[1] = import->fallback[3];
    if (activation->pending == NULL) {
        activation->pending = value;
    } else { /* the first is told */
        Py_DECREF(value);
    }
    return true;
}

static int call_typed(struct activation *activation, const struct import *import) {
    const struct signature *signature = &import->signature;
    uint64_t words[MAX_ARGUMENTS];
    PyObject *arguments[MAX_ARGUMENTS + 1], *result = NULL;
    if (!read_words(activation, signature, words)) {
        return -1;
    }
    int made = 0;
    while (made < signature->count) {
        PyObject *argument = make_argument(activation, import, made, words[made]);
        if (argument == NULL) {
            break;
        }
        arguments[++made] = argument;
    }
    if (made == signature->count) {
        result =
            PyObject_Vectorcall(import->handler, arguments + 1, (size_t)made | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    }
    for (int i = 1; i <= made; i++) {
        Py_DECREF(arguments[i]);
    }
    if (result == NULL) {
        return -1;
    }
    uint64_t word;
    bool fits = tmebox_to_word(signature->result, result, &word) || convert_result(import, result, &word);
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

int tmebox_call_typed(struct activation *activation, const struct import *import) {
    int result = call_typed(activation, import);
    return UNLIKELY(result < 0) && activation->outcome == RETURNED && postpone(activation, import) ? 0 : result;
}

static int call_raw(struct activation *activation, const struct import *import) {
    const uint64_t *in = activation->integers;
    uint32_t stack_offset = (uint32_t)(activation->rsp + 8 - tmebox_stack_base(activation->instance));
    PyObject *result =
        PyObject_CallFunction(import->handler, "(KKKKKK)y#I", (unsigned long long)in[0], (unsigned long long)in[1],
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

int tmebox_call_raw(struct activation *activation, const struct import *import) {
    int result = call_raw(activation, import);
    return UNLIKELY(result < 0) && activation->outcome == RETURNED && postpone(activation, import) ? 0 : result;
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

static PyObject *control_clock(PyObject *module, PyObject *unused) {
    (void)module, (void)unused;
    return PyLong_FromUnsignedLongLong(tmebox_control_clock++);
}

static PyObject *stacks_hold(PyObject *module, PyObject *args) {
    (void)module;
    unsigned long long start, end, since;
    if (!PyArg_ParseTuple(args, "KKK:stacks_hold", &start, &end, &since)) {
        return NULL;
    }
    return PyBool_FromLong(tmebox_stacks_hold(start, end, since));
}

/* For longjmp; of every text, so that nothing stays noted of one that was there before. */
static PyObject *note_returns(PyObject *module, PyObject *args) {
    (void)module;
    unsigned long long start, size;
    Py_buffer places, depths;
    if (!PyArg_ParseTuple(args, "KKy*y*:note_returns", &start, &size, &places, &depths)) {
        return NULL;
    }
    bool good = places.len == depths.len && places.len % 4 == 0;
    if (!good) {
        PyErr_SetString(PyExc_ValueError, "as many places as depths");
    } else if (!tmebox_note_returns(start, start + size, places.buf, depths.buf, (size_t)places.len / 4)) {
        good = false;
        PyErr_NoMemory();
    }
    PyBuffer_Release(&places);
    PyBuffer_Release(&depths);
    return good ? Py_NewRef(Py_None) : NULL;
}

PyMethodDef tmebox_hostfunction_methods[] = {
    {"control_clock", control_clock, METH_NOARGS, "control_clock() -> int\n\nA time, for stacks_hold."},
    {"stacks_hold", stacks_hold, METH_VARARGS,
     "stacks_hold(start, end, since) -> bool\n\nWhether a call that began by then may come back to code there."},
    {"note_returns", note_returns, METH_VARARGS,
     "note_returns(start, size, places, depths)\n\nWhere calls of a text return to, and how deep its stack is there."},
    {"remaining_time", remaining_time, METH_NOARGS,
     "remaining_time() -> float | None\n\nSeconds; None outside of calls and without a limit."},
    {NULL, NULL, 0, NULL},
};
