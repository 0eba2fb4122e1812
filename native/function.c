/* Function: a C function of one sandbox as a Python callable. Which conversion each argument needs is decided
 * once; a call whose arguments are plain numbers allocates nothing but its result. */
#include "native.h"

#include <string.h>

struct function {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    struct instance *instance;
    uint64_t address;
    PyObject *slow;
    PyObject *dict;
    PyObject *weak;
    struct signature signature;
};

/* Buffers that a call keeps exported until it returns. */
struct held {
    int count;
    Py_buffer buffers[MAX_ARGUMENTS];
};

static void let_go(struct held *held) {
    for (int i = 0; i < held->count; i++) {
        PyBuffer_Release(&held->buffers[i]);
    }
}

/* A buffer that lies in this window is passed as its offset; its exporter stays locked during the call. */
static bool buffer_to_word(const struct instance *instance, char code, PyObject *value, struct held *held,
                           uint64_t *word) {
    if (!PyObject_CheckBuffer(value)) {
        return false;
    }
    Py_buffer *view = &held->buffers[held->count];
    int flags = code == 'P' ? PyBUF_C_CONTIGUOUS : PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE;
    if (PyObject_GetBuffer(value, view, flags) < 0) {
        PyErr_Clear();
        return false;
    }
    uint64_t offset = (uint64_t)(uintptr_t)view->buf - instance->base;
    if (offset >= TMEBOX_WINDOW_SIZE || (uint64_t)view->len > TMEBOX_WINDOW_SIZE - offset) {
        PyBuffer_Release(view);
        return false;
    }
    held->count++;
    *word = offset;
    return true;
}

static inline void put(const struct parameter *parameter, uint64_t word, struct activation *activation,
                       uint64_t *stack) {
    uint64_t *to = parameter->place == IN_INTEGER  ? activation->integers
                   : parameter->place == IN_VECTOR ? activation->vectors
                                                   : stack;
    to[parameter->index] = word;
}

static PyObject *enter(struct function *self, struct activation *activation, const uint64_t *stack) {
    const struct signature *signature = &self->signature;
    activation->address = self->address;
    activation->vector_count = (uint32_t)signature->vector_count;
    if (tmebox_run(self->instance, activation, stack, (size_t)signature->stack_count,
                   self->instance->timeout_ns) < 0) {
        return NULL;
    }
    bool floating = signature->result == 'f' || signature->result == 'd';
    return tmebox_from_word(signature->result, floating ? activation->vectors[0] : activation->rax);
}

static void clear_arguments(struct activation *activation) {
    memset(activation->integers, 0, sizeof activation->integers);
    memset(activation->vectors, 0, sizeof activation->vectors);
}

static PyObject *call_numbers(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *keywords) {
    struct function *self = (struct function *)callable;
    const struct signature *signature = &self->signature;
    struct activation activation;
    uint64_t stack[MAX_ARGUMENTS], word;
    if (UNLIKELY(keywords != NULL || PyVectorcall_NARGS(nargsf) != signature->count)) {
        return PyObject_Vectorcall(self->slow, args, nargsf, keywords);
    }
    clear_arguments(&activation);
    for (int i = 0; i < signature->count; i++) {
        const struct parameter *parameter = &signature->parameters[i];
        if (UNLIKELY(!tmebox_to_word(parameter->code, args[i], &word))) {
            return PyObject_Vectorcall(self->slow, args, nargsf, NULL);
        }
        put(parameter, word, &activation, stack);
    }
    return enter(self, &activation, stack);
}

/* The bytes of a str or bytes with the NUL that follows them, or NULL; leaves no exception. */
static const char *text_of(PyObject *value, char code, uint32_t limit, Py_ssize_t *size) {
    const char *text = NULL;
    if (PyUnicode_CheckExact(value) && PyUnicode_GET_LENGTH(value) < limit) {
        if ((text = PyUnicode_AsUTF8AndSize(value, size)) == NULL) {
            PyErr_Clear();
        }
    } else if (PyBytes_CheckExact(value) && code == 'P') { /* what is written to a copy would be lost */
        text = PyBytes_AS_STRING(value);
        *size = PyBytes_GET_SIZE(value);
    }
    *size += text != NULL;
    return text;
}

/* Copies a text into the room lent for it. No Python code runs from here to the call, and the GIL is held: no
 * other thread's texts come in between. The sandbox, if it runs on another thread, has its own below. */
static bool text_to_word(struct instance *instance, char code, PyObject *value, uint64_t *word) {
    Py_ssize_t size = 0;
    const char *text = text_of(value, code, instance->text_size, &size);
    if (text == NULL || instance->dead || size > (Py_ssize_t)(instance->text_size - instance->text_used)) {
        return false;
    }
    *word = instance->text_offset + instance->text_used;
    if (tmebox_window_copy((void *)(instance->base + *word), text, (size_t)size).how != 0) {
        return false;
    }
    uint32_t after = instance->text_used + (((uint32_t)size + TEXT_ALIGN - 1) & ~(TEXT_ALIGN - 1U));
    instance->text_used = after < instance->text_size ? after : instance->text_size;
    return true;
}

/* Texts come after everything else, since exporters of buffers may run any code. `text_mark` becomes what
 * text_used must be after the call; it stays what it is without texts. */
static bool convert_pointers(struct function *self, PyObject *const *args, struct activation *activation,
                             uint64_t *stack, struct held *held, uint32_t *text_mark) {
    const struct signature *signature = &self->signature;
    struct instance *instance = self->instance;
    uint64_t word, texts = 0;
    for (int i = 0; i < signature->count; i++) {
        const struct parameter *parameter = &signature->parameters[i];
        bool pointer = parameter->code == 'p' || parameter->code == 'P';
        if (pointer && (PyUnicode_CheckExact(args[i]) || PyBytes_CheckExact(args[i]))) {
            texts |= 1ULL << i;
        } else if (tmebox_to_word(parameter->code, args[i], &word) ||
                   (pointer && buffer_to_word(instance, parameter->code, args[i], held, &word))) {
            put(parameter, word, activation, stack);
        } else {
            return false;
        }
    }
    if (texts != 0) {
        *text_mark = instance->text_used = instance->depth != 0 ? instance->text_used : 0;
    }
    for (; texts != 0; texts &= texts - 1) {
        int i = __builtin_ctzll(texts);
        const struct parameter *parameter = &signature->parameters[i];
        if (!text_to_word(instance, parameter->code, args[i], &word)) {
            return false;
        }
        put(parameter, word, activation, stack);
    }
    return true;
}

static PyObject *call_pointers(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *keywords) {
    struct function *self = (struct function *)callable;
    struct activation activation;
    struct held held;
    uint64_t stack[MAX_ARGUMENTS];
    uint32_t text_mark = UINT32_MAX;
    held.count = 0;
    clear_arguments(&activation);
    bool converts = keywords == NULL && PyVectorcall_NARGS(nargsf) == self->signature.count &&
                    convert_pointers(self, args, &activation, stack, &held, &text_mark);
    PyObject *result = converts ? enter(self, &activation, stack) : NULL;
    if (text_mark != UINT32_MAX) {
        self->instance->text_used = text_mark;
    }
    if (UNLIKELY(held.count != 0)) { /* releasing may run Python code: keep the exception out of its way */
        PyObject *type, *value, *traceback;
        PyErr_Fetch(&type, &value, &traceback);
        let_go(&held);
        PyErr_Restore(type, value, traceback);
    }
    return LIKELY(converts) ? result : PyObject_Vectorcall(self->slow, args, nargsf, keywords);
}

static PyObject *function_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    static char *names[] = {"instance", "address", "name", "arguments", "result", "slow", NULL};
    PyObject *instance, *name, *slow;
    const char *arguments, *result;
    unsigned long long address;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "O!KUssO:Function", names, &tmebox_instance_type,
                                     &instance, &address, &name, &arguments, &result, &slow)) {
        return NULL;
    }
    if (address < TMEBOX_CODE_BASE || address >= TMEBOX_GATE_BASE) {
        PyErr_SetString(PyExc_ValueError, "not an address of sandboxed code");
        return NULL;
    }
    if (!PyCallable_Check(slow)) {
        PyErr_SetString(PyExc_TypeError, "slow must be callable");
        return NULL;
    }
    struct function *self = (struct function *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    Py_INCREF(instance);
    self->instance = (struct instance *)instance;
    Py_INCREF(slow);
    self->slow = slow;
    self->address = address;
    self->dict = PyDict_New();
    if (self->dict == NULL || tmebox_parse_signature(&self->signature, arguments, result) < 0 ||
        PyDict_SetItemString(self->dict, "__name__", name) < 0 ||
        PyDict_SetItemString(self->dict, "__qualname__", name) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    self->vectorcall = self->signature.pointers ? call_pointers : call_numbers;
    return (PyObject *)self;
}

static PyObject *function_repr(PyObject *object) {
    struct function *self = (struct function *)object;
    PyObject *name = PyDict_GetItemString(self->dict, "__name__");
    return PyUnicode_FromFormat("<sandboxed function %S at 0x%llx>", name != NULL ? name : Py_None,
                                (unsigned long long)self->address);
}

static int function_traverse(PyObject *object, visitproc visit, void *arg) {
    struct function *self = (struct function *)object;
    Py_VISIT(self->instance);
    Py_VISIT(self->slow);
    Py_VISIT(self->dict);
    return 0;
}

/* `instance` and `slow` stay: a function that can still be called must be able to. Cycles break at the dict
 * and at the instance. */
static int function_clear(PyObject *object) {
    PyDict_Clear(((struct function *)object)->dict);
    return 0;
}

static void function_dealloc(PyObject *object) {
    struct function *self = (struct function *)object;
    PyObject_GC_UnTrack(object);
    if (self->weak != NULL) {
        PyObject_ClearWeakRefs(object);
    }
    Py_XDECREF(self->instance);
    Py_XDECREF(self->slow);
    Py_XDECREF(self->dict);
    Py_TYPE(object)->tp_free(object);
}

static PyGetSetDef function_properties[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyTypeObject tmebox_function_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "tmebox._native.Function",
    .tp_doc = "Function(instance, address, name, arguments, result, slow)\n\nA sandboxed function.",
    .tp_basicsize = sizeof(struct function),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL,
    .tp_new = function_new,
    .tp_dealloc = function_dealloc,
    .tp_traverse = function_traverse,
    .tp_clear = function_clear,
    .tp_repr = function_repr,
    .tp_call = PyVectorcall_Call,
    .tp_getset = function_properties,
    .tp_vectorcall_offset = offsetof(struct function, vectorcall),
    .tp_dictoffset = offsetof(struct function, dict),
    .tp_weaklistoffset = offsetof(struct function, weak),
};
