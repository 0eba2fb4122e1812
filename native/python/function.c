/* Function: a C function of one sandbox as a Python callable. Which conversion each argument needs is decided
 * once; a call whose arguments are plain numbers allocates nothing but its result. */
#include "python/face.h"
#include "python/heap.h"

#include <string.h>

/* What the functions of all sandboxes that one export makes have in common. */
struct export {
    PyObject_HEAD
    uint64_t address;
    PyObject *name;
    PyObject *slow;       /* slow(host, *args, **keywords), for arguments that do not convert here */
    PyObject *attributes; /* a dict: __doc__, __signature__ */
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

/* The offset of what a buffer shows of the shared heap, or of the window itself. */
static uint64_t offset_of(const struct instance *instance, const void *buffer) {
    const struct heap *heap = instance->key != 0 ? instance->heap : NULL;
    uint64_t place = heap != NULL ? (uint64_t)((const unsigned char *)buffer - heap->host) : UINT64_MAX;
    return heap != NULL && place < heap->size_bytes ? TMEBOX_SHARED_START + place
                                                    : (uint64_t)(uintptr_t)buffer - instance->base;
}

/* A buffer that lies in this window, or in its shared heap, is passed as its offset, whoever owns it there: touching
 * is what is checked. Its exporter stays locked during the call. */
static bool buffer_to_word(const struct instance *instance, const struct parameter *parameter,
                           PyObject *value, struct held *held, uint64_t *word) {
    if (PyObject_TypeCheck(value, &tmebox_block_type)) {
        return tmebox_block_offset(value, instance->key != 0 ? instance->heap : NULL, word);
    }
    if (!PyObject_CheckBuffer(value)) {
        return false;
    }
    Py_buffer *view = &held->buffers[held->count];
    /* Exporters spell formats out anew each time: only where it matters. Objects do not lie in a window. */
    bool any = parameter->item == ANY_ITEMS || parameter->item == BYTES;
    int flags = PyBUF_C_CONTIGUOUS | (any ? 0 : PyBUF_FORMAT) | (parameter->code == 'P' ? 0 : PyBUF_WRITABLE);
    if (PyObject_GetBuffer(value, view, flags) < 0) {
        PyErr_Clear();
        return false;
    }
    uint64_t offset = offset_of(instance, view->buf);
    if (offset >= TMEBOX_WINDOW_SIZE || (uint64_t)view->len > TMEBOX_WINDOW_SIZE - offset ||
        !tmebox_items_fit(parameter->item, view)) {
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
    const struct signature *signature = &self->export->signature;
    activation->address = self->export->address;
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
    activation->descriptors = NULL;
}

/* One argument more, in front. */
static PyObject *call_slow(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *keywords) {
    struct function *self = (struct function *)callable;
    size_t count = (size_t)PyVectorcall_NARGS(nargsf);
    size_t all = count + (keywords != NULL ? (size_t)PyTuple_GET_SIZE(keywords) : 0);
    PyObject **with_host = PyMem_New(PyObject *, all + 2);
    if (with_host == NULL) {
        return PyErr_NoMemory();
    }
    with_host[1] = self->host;
    memcpy(with_host + 2, args, all * sizeof *args);
    PyObject *result = PyObject_Vectorcall(self->export->slow, with_host + 1,
                                           (count + 1) | PY_VECTORCALL_ARGUMENTS_OFFSET, keywords);
    PyMem_Free(with_host);
    return result;
}

static PyObject *call_numbers(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *keywords) {
    struct function *self = (struct function *)callable;
    const struct signature *signature = &self->export->signature;
    struct activation activation;
    uint64_t stack[MAX_ARGUMENTS], word;
    if (UNLIKELY(keywords != NULL || PyVectorcall_NARGS(nargsf) != signature->count)) {
        return call_slow(callable, args, nargsf, keywords);
    }
    clear_arguments(&activation);
    for (int i = 0; i < signature->count; i++) {
        const struct parameter *parameter = &signature->parameters[i];
        if (UNLIKELY(!tmebox_to_word(parameter->code, args[i], &word))) {
            return call_slow(callable, args, nargsf, NULL);
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
    const struct signature *signature = &self->export->signature;
    struct instance *instance = self->instance;
    uint64_t word, texts = 0;
    for (int i = 0; i < signature->count; i++) {
        const struct parameter *parameter = &signature->parameters[i];
        bool pointer = parameter->code == 'p' || parameter->code == 'P';
        if (pointer && (PyUnicode_CheckExact(args[i]) || PyBytes_CheckExact(args[i]))) {
            if (parameter->item != ANY_ITEMS && parameter->item != BYTES) {
                return false;
            }
            texts |= 1ULL << i;
        } else if (tmebox_to_word(parameter->code, args[i], &word) ||
                   (pointer && buffer_to_word(instance, parameter, args[i], held, &word))) {
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
    bool converts = keywords == NULL && PyVectorcall_NARGS(nargsf) == self->export->signature.count &&
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
    return LIKELY(converts) ? result : call_slow(callable, args, nargsf, keywords);
}

bool tmebox_is_plain(PyObject *object) {
    if (!Py_IS_TYPE(object, &tmebox_function_type)) {
        return false;
    }
    const struct export *export = ((struct function *)object)->export;
    return export->vectorcall == call_numbers && export->signature.count == 0 &&
           export->signature.result == 'v';
}

int tmebox_call_plain(PyObject *object, uint64_t times_entered, uint64_t *detected) {
    struct function *self = (struct function *)object;
    struct activation activation;
    clear_arguments(&activation);
    activation.address = self->export->address;
    activation.vector_count = 0;
    if (detected != NULL) {
        return tmebox_run_into_foreign_lines(self->instance, &activation, self->instance->timeout_ns, times_entered,
                                             detected);
    }
    return times_entered == 1
               ? tmebox_run(self->instance, &activation, NULL, 0, self->instance->timeout_ns)
               : tmebox_run_repeatedly(self->instance, &activation, self->instance->timeout_ns,
                                       times_entered);
}

/* -- exports ------------------------------------------------------------------------------------------ */

static PyObject *export_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    static char *names[] = {"address", "name", "arguments", "result", "slow", "attributes", "items", NULL};
    PyObject *name, *slow, *attributes;
    const char *arguments, *result, *items = "";
    unsigned long long address;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "KUzzOO!|s:Export", names, &address, &name, &arguments,
                                     &result, &slow, &PyDict_Type, &attributes, &items)) {
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
    struct export *self = (struct export *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->address = address;
    self->name = Py_NewRef(name);
    self->slow = Py_NewRef(slow);
    self->attributes = Py_NewRef(attributes);
    self->vectorcall = call_slow;
    if (arguments != NULL && result != NULL) {
        if (tmebox_parse_signature(&self->signature, arguments, result) < 0) {
            Py_DECREF(self);
            return NULL;
        }
        for (int i = 0; i < self->signature.count; i++) { /* without letters: any */
            self->signature.parameters[i].item = *items != 0 ? *items++ : ANY_ITEMS;
        }
        self->vectorcall = self->signature.pointers ? call_pointers : call_numbers;
    }
    return (PyObject *)self;
}

static PyObject *export_bind(PyObject *object, PyObject *const *args, Py_ssize_t count) {
    struct export *self = (struct export *)object;
    if (count != 3 || !Py_IS_TYPE(args[0], &tmebox_instance_type)) {
        PyErr_SetString(PyExc_TypeError, "bind(instance, host, owner)");
        return NULL;
    }
    struct function *function = PyObject_GC_New(struct function, &tmebox_function_type);
    if (function == NULL) {
        return NULL;
    }
    function->vectorcall = self->vectorcall;
    function->instance = (struct instance *)Py_NewRef(args[0]);
    function->export = (struct export *)Py_NewRef(object);
    function->host = Py_NewRef(args[1]);
    function->owner = args[2] != Py_None ? Py_NewRef(args[2]) : NULL;
    function->dict = NULL;
    function->weak = NULL;
    PyObject_GC_Track((PyObject *)function);
    return (PyObject *)function;
}

static int export_traverse(PyObject *object, visitproc visit, void *arg) {
    Py_VISIT(((struct export *)object)->slow);
    Py_VISIT(((struct export *)object)->attributes);
    return 0;
}

static void export_dealloc(PyObject *object) {
    struct export *self = (struct export *)object;
    PyObject_GC_UnTrack(object);
    Py_XDECREF(self->name);
    Py_XDECREF(self->slow);
    Py_XDECREF(self->attributes);
    Py_TYPE(object)->tp_free(object);
}

static PyMethodDef export_methods[] = {
    {"bind", (PyCFunction)(void (*)(void))export_bind, METH_FASTCALL,
     "bind(instance, host, owner) -> Function\n\nThe owner, if not None, lives as long as the function."},
    {NULL, NULL, 0, NULL},
};

PyTypeObject tmebox_export_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "tmebox._native.Export",
    .tp_doc = "Export(address, name, arguments, result, slow, attributes, items='')\n\n"
              "A function of every sandbox.",
    .tp_basicsize = sizeof(struct export),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = export_new,
    .tp_dealloc = export_dealloc,
    .tp_traverse = export_traverse,
    .tp_methods = export_methods,
};

/* -- functions ---------------------------------------------------------------------------------------- */

static PyObject *function_repr(PyObject *object) {
    const struct export *export = ((struct function *)object)->export;
    return PyUnicode_FromFormat("<sandboxed function %U at %p>", export->name, (void *)export->address);
}

static PyObject *function_name(PyObject *object, void *unused) {
    (void)unused;
    return Py_NewRef(((struct function *)object)->export->name);
}

/* What the export has under the name. */
static PyObject *function_shared(PyObject *object, void *name) {
    PyObject *found = PyDict_GetItemString(((struct function *)object)->export->attributes, name);
    return Py_NewRef(found != NULL ? found : Py_None);
}

static int function_traverse(PyObject *object, visitproc visit, void *arg) {
    struct function *self = (struct function *)object;
    Py_VISIT(self->instance);
    Py_VISIT(self->export);
    Py_VISIT(self->host);
    Py_VISIT(self->owner);
    Py_VISIT(self->dict);
    return 0;
}

/* A function that can still be called must be able to: what it needs for that stays. Cycles break at the
 * owner, the dict and the instance. */
static int function_clear(PyObject *object) {
    Py_CLEAR(((struct function *)object)->owner);
    Py_CLEAR(((struct function *)object)->dict);
    return 0;
}

static void function_dealloc(PyObject *object) {
    struct function *self = (struct function *)object;
    PyObject_GC_UnTrack(object);
    if (self->weak != NULL) {
        PyObject_ClearWeakRefs(object);
    }
    Py_XDECREF(self->instance);
    Py_XDECREF(self->export);
    Py_XDECREF(self->host);
    Py_XDECREF(self->owner);
    Py_XDECREF(self->dict);
    Py_TYPE(object)->tp_free(object);
}

static PyObject *function_reduce(PyObject *object, PyObject *protocol) {
    (void)protocol;
    PyErr_Format(PyExc_TypeError,
                 "%U() is a function of one sandbox, which is not copied or pickled: name it, and get it from a "
                 "sandbox where it is called",
                 ((struct function *)object)->export->name);
    return NULL;
}

static PyMethodDef function_methods[] = {
    {"__reduce_ex__", function_reduce, METH_O, "Refused."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef function_properties[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {"__name__", function_name, NULL, NULL, NULL},
    {"__qualname__", function_name, NULL, NULL, NULL},
    {"__doc__", function_shared, NULL, NULL, "__doc__"},
    {"__signature__", function_shared, NULL, NULL, "__signature__"},
    {NULL, NULL, NULL, NULL, NULL},
};

PyTypeObject tmebox_function_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "tmebox._native.Function",
    .tp_basicsize = sizeof(struct function),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL |
                Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_dealloc = function_dealloc,
    .tp_traverse = function_traverse,
    .tp_clear = function_clear,
    .tp_repr = function_repr,
    .tp_call = PyVectorcall_Call,
    .tp_methods = function_methods,
    .tp_getset = function_properties,
    .tp_vectorcall_offset = offsetof(struct function, vectorcall),
    .tp_dictoffset = offsetof(struct function, dict),
    .tp_weaklistoffset = offsetof(struct function, weak),
};
