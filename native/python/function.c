/* Function: a C function of one sandbox as a Python callable. Which conversion each argument needs is decided
 * once; a call whose arguments are plain numbers allocates nothing but its result. */
#include "python/function.h"
#include "python/heap.h"

#include <string.h>

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
    if (PyObject_TypeCheck(value, &tmebox_pointer_type)) {
        return tmebox_pointer_to_word(value, instance, parameter->kind, word);
    }
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

/* What tmebox_to_word does with most numbers that programs pass, without a call. */
static inline bool digit_to_word(const struct parameter *parameter, PyObject *value, uint64_t *word) {
    if (!parameter->takes_digit || !PyLong_CheckExact(value)) {
        return false;
    }
#if PY_VERSION_HEX >= 0x030C0000
    const PyLongObject *number = (const PyLongObject *)value;
    Py_ssize_t digit = PyUnstable_Long_IsCompact(number) ? PyUnstable_Long_CompactValue(number) : -1;
#else
    Py_ssize_t size = Py_SIZE(value);
    Py_ssize_t digit = size == 1 ? (Py_ssize_t)((PyLongObject *)value)->ob_digit[0] : -(size != 0);
#endif
    *word = (uint64_t)digit;
    return digit >= 0;
}

static inline bool to_word(const struct parameter *parameter, PyObject *value, uint64_t *word) {
    return LIKELY(digit_to_word(parameter, value, word)) || tmebox_to_word(parameter->code, value, word);
}

static inline void put(const struct parameter *parameter, uint64_t word, struct activation *activation,
                       uint64_t *stack) {
    uint64_t *to = parameter->place == IN_INTEGER  ? activation->integers
                   : parameter->place == IN_VECTOR ? activation->vectors
                                                   : stack;
    to[parameter->index] = word;
}

static inline PyObject *result_of(const struct signature *signature, const struct activation *activation) {
    if (LIKELY(signature->result == 'l')) { /* as tmebox_from_word does, without a call */
        return PyLong_FromLong((long)activation->rax);
    }
    if (signature->result == 'i') {
        return PyLong_FromLong((int32_t)activation->rax);
    }
    bool floating = signature->result == 'f' || signature->result == 'd';
    return tmebox_from_word(signature->result, floating ? activation->vectors[0] : activation->rax);
}

/* No Python code runs between the end of the sandbox's code and the return from here. */
static inline int enter(struct function *self, struct activation *activation, const uint64_t *stack) {
    const struct signature *signature = &self->export->signature;
    activation->address = self->export->address;
    activation->vector_count = (uint32_t)signature->vector_count;
    return tmebox_run(self->instance, activation, stack, (size_t)signature->stack_count, self->instance->timeout_ns);
}

static inline PyObject *finished(struct function *self, const struct activation *activation) {
    PyObject *finish = self->export->finish;
    if (UNLIKELY(finish != NULL)) {
        return tmebox_make_result(finish, self->instance, self->host, activation->rax);
    }
    return result_of(&self->export->signature, activation);
}

/* Vector registers are loaded for functions that have such arguments, and cleared for others. */
static inline void clear_arguments(struct activation *activation, int vector_count) {
    memset(activation->integers, 0, sizeof activation->integers);
    if (vector_count != 0) {
        memset(activation->vectors, 0, sizeof activation->vectors);
    }
    activation->descriptors = NULL;
    activation->text_used = 0;
}

/* One argument more, in front. */
PyObject *tmebox_call_slow(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *keywords) {
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

PyObject *tmebox_call_numbers(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *keywords) {
    struct function *self = (struct function *)callable;
    const struct signature *signature = &self->export->signature;
    struct activation activation;
    uint64_t stack[MAX_ARGUMENTS], word;
    if (UNLIKELY(keywords != NULL || PyVectorcall_NARGS(nargsf) != signature->count)) {
        return tmebox_call_slow(callable, args, nargsf, keywords);
    }
    clear_arguments(&activation, signature->vector_count);
    for (int i = 0; i < signature->count; i++) {
        const struct parameter *parameter = &signature->parameters[i];
        if (UNLIKELY(!to_word(parameter, args[i], &word))) {
            return tmebox_call_slow(callable, args, nargsf, NULL);
        }
        put(parameter, word, &activation, stack);
    }
    PyObject *result = enter(self, &activation, stack) < 0 ? NULL : finished(self, &activation);
    return tmebox_called(self->instance, result);
}

/* As tmebox_call_numbers, where each argument is a number in the integer register of its index. */
PyObject *tmebox_call_integers(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *keywords) {
    struct function *self = (struct function *)callable;
    const struct signature *signature = &self->export->signature;
    struct activation activation;
    Py_ssize_t count = PyVectorcall_NARGS(nargsf);
    if (UNLIKELY(keywords != NULL || count != signature->count)) {
        return tmebox_call_slow(callable, args, nargsf, keywords);
    }
    clear_arguments(&activation, 0);
    for (Py_ssize_t i = 0; i < count; i++) {
        if (UNLIKELY(!to_word(&signature->parameters[i], args[i], &activation.integers[i]))) {
            return tmebox_call_slow(callable, args, nargsf, NULL);
        }
    }
    PyObject *result = enter(self, &activation, NULL) < 0 ? NULL : finished(self, &activation);
    return tmebox_called(self->instance, result);
}

/* Of structs that are given as dicts or tuples, in one call; others go through Python. They are aligned as anything is
 * that a sandbox is given. */
#define MOST_STRUCTS 4
#define ROOM_FOR_STRUCTS (2 * LARGEST_STRUCT)
#define STRUCT_ALIGN 64

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

/* Copies a text into the room lent for it. No Python code runs from here to the call, and the GIL is held:
 * no other thread's texts come in between. The sandbox, if it runs on another thread, has its own below. The room is
 * taken where the call begins, and given back where it ends. */
static bool text_to_word(const struct instance *instance, char code, PyObject *value, uint32_t *used,
                         uint64_t *word) {
    Py_ssize_t size = 0;
    const char *text = text_of(value, code, instance->text_size, &size);
    if (text == NULL || instance->dead || size > (Py_ssize_t)(instance->text_size - *used)) {
        return false;
    }
    *word = instance->text_offset + *used;
    if (tmebox_window_copy((void *)(instance->base + *word), text, (size_t)size).how != 0) {
        return false;
    }
    uint32_t after = *used + (((uint32_t)size + TEXT_ALIGN - 1) & ~(TEXT_ALIGN - 1U));
    *used = after < instance->text_size ? after : instance->text_size;
    return true;
}

/* Structs of a call that were given as dicts and tuples: what is copied in, and what comes back. And the struct that
 * it returns. */
struct structs {
    int count;
    uint32_t size;
    uint64_t result_offset; /* where it is to be put, if it is returned in memory */
    unsigned char result[LARGEST_STRUCT];
    struct {
        PyObject *given; /* borrowed of the caller, as arguments are */
        const struct parameter *parameter;
        uint32_t start; /* in data */
        uint64_t offset; /* in the window */
    } each[MOST_STRUCTS];
    unsigned char data[ROOM_FOR_STRUCTS];
};

/* Whether a struct's dict is what the sandbox changed in it after the call: not where it can change nothing. */
static bool comes_back(const struct structs *structs, int index) {
    return structs->each[index].parameter->code == 'p' && PyDict_CheckExact(structs->each[index].given);
}

/* Packs it in memory of the host. One dict that is passed twice is one struct, which Python sees to. */
static bool take_struct(struct structs *structs, const struct instance *instance, const struct parameter *parameter,
                        PyObject *value) {
    int index = structs->count;
    uint32_t size = tmebox_struct_size(parameter->layout);
    if (index == MOST_STRUCTS || size > ROOM_FOR_STRUCTS - structs->size) {
        return false;
    }
    for (int i = 0; i < index; i++) {
        if (structs->each[i].given == value && PyDict_CheckExact(value)) {
            return false;
        }
    }
    structs->each[index].given = value;
    structs->each[index].parameter = parameter;
    structs->each[index].start = structs->size;
    if ((comes_back(structs, index) && !tmebox_struct_is_flat(parameter->layout)) ||
        tmebox_struct_pack(parameter->layout, value, instance, structs->data + structs->size) < 0) {
        return false;
    }
    structs->count++;
    structs->size += size;
    return true;
}

/* Copies packed structs into the room for texts, as text_to_word does. */
static bool copy_structs(struct structs *structs, const struct instance *instance, struct activation *activation,
                         uint64_t *stack) {
    for (int i = 0; i < structs->count; i++) {
        uint32_t size = tmebox_struct_size(structs->each[i].parameter->layout);
        uint64_t start = ((uint64_t)activation->text_used + STRUCT_ALIGN - 1) & ~(STRUCT_ALIGN - 1ULL);
        if (instance->dead || start + size > instance->text_size || instance->text_offset % STRUCT_ALIGN != 0) {
            return false;
        }
        structs->each[i].offset = instance->text_offset + start;
        void *to = (void *)(instance->base + structs->each[i].offset);
        if (tmebox_window_copy(to, structs->data + structs->each[i].start, size).how != 0) {
            return false;
        }
        activation->text_used = (uint32_t)start + size;
        put(structs->each[i].parameter, structs->each[i].offset, activation, stack);
    }
    return true;
}

/* Room for a struct that is returned in memory, as for those that are passed. */
static bool keep_room(struct structs *structs, const struct instance *instance, uint32_t size,
                      struct activation *activation) {
    uint64_t start = ((uint64_t)activation->text_used + STRUCT_ALIGN - 1) & ~(STRUCT_ALIGN - 1ULL);
    if (instance->dead || start + size > instance->text_size || instance->text_offset % STRUCT_ALIGN != 0) {
        return false;
    }
    activation->integers[0] = structs->result_offset = instance->text_offset + start;
    activation->text_used = (uint32_t)start + size;
    return true;
}

/* What the sandbox left in structs that come back, before anybody else uses the room. */
static bool copy_back(struct function *self, struct structs *structs, const struct activation *activation) {
    const struct instance *instance = self->instance;
    if (self->export->signature.result == STRUCT_VALUE &&
        !tmebox_take_result(self->export->result_layout, instance, activation, structs->result_offset, structs->result)) {
        PyErr_SetString(PyExc_RuntimeError, "the memory of a struct that was returned is gone");
        return false;
    }
    for (int i = 0; i < structs->count; i++) {
        const void *from = (const void *)(instance->base + structs->each[i].offset);
        uint32_t size = tmebox_struct_size(structs->each[i].parameter->layout);
        if (comes_back(structs, i) &&
            tmebox_window_copy(structs->data + structs->each[i].start, from, size).how != 0) {
            PyErr_SetString(PyExc_RuntimeError, "the memory of a struct that was passed is gone");
            return false;
        }
    }
    return true;
}

/* Dropping what was in the dicts may run any code. */
static bool update_dicts(const struct structs *structs, const struct instance *instance) {
    for (int i = 0; i < structs->count; i++) {
        if (comes_back(structs, i) &&
            !tmebox_struct_update(structs->each[i].parameter->layout, structs->each[i].given,
                                  structs->data + structs->each[i].start, instance)) {
            return false;
        }
    }
    return true;
}

/* Texts and structs come after everything else, since exporters of buffers may run any code. */
static bool convert_pointers(struct function *self, PyObject *const *args, struct activation *activation,
                             uint64_t *stack, struct held *held, struct structs *structs) {
    const struct signature *signature = &self->export->signature;
    const struct instance *instance = self->instance;
    uint64_t word, texts = 0;
    for (int i = 0; i < signature->count; i++) {
        const struct parameter *parameter = &signature->parameters[i];
        bool pointer = parameter->code == 'p' || parameter->code == 'P';
        if (pointer && (PyUnicode_CheckExact(args[i]) || PyBytes_CheckExact(args[i]))) {
            if (parameter->item != ANY_ITEMS && parameter->item != BYTES) {
                return false;
            }
            texts |= 1ULL << i;
        } else if (parameter->code == STRUCT_VALUE) {
            if (!tmebox_put_struct(parameter, args[i], instance, activation, stack)) {
                return false;
            }
        } else if (parameter->layout != NULL && tmebox_struct_takes(parameter->layout, args[i])) {
            if (!take_struct(structs, instance, parameter, args[i])) {
                return false;
            }
        } else if (to_word(parameter, args[i], &word) ||
                   (pointer && buffer_to_word(instance, parameter, args[i], held, &word))) {
            put(parameter, word, activation, stack);
        } else {
            return false;
        }
    }
    if (texts != 0 || structs->count != 0 || signature->returns_memory) {
        activation->text_used = instance->depth != 0 ? instance->text_used : 0;
        if (signature->returns_memory &&
            !keep_room(structs, instance, tmebox_struct_size(self->export->result_layout), activation)) {
            return false;
        }
        if (!copy_structs(structs, instance, activation, stack)) {
            return false;
        }
        uint32_t used = (activation->text_used + TEXT_ALIGN - 1) & ~(TEXT_ALIGN - 1U);
        activation->text_used = used < instance->text_size ? used : instance->text_size;
    }
    for (; texts != 0; texts &= texts - 1) {
        int i = __builtin_ctzll(texts);
        const struct parameter *parameter = &signature->parameters[i];
        if (!text_to_word(instance, parameter->code, args[i], &activation->text_used, &word)) {
            return false;
        }
        put(parameter, word, activation, stack);
    }
    return true;
}

PyObject *tmebox_call_pointers(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *keywords) {
    struct function *self = (struct function *)callable;
    struct activation activation;
    struct held held;
    struct structs structs;
    uint64_t stack[MAX_ARGUMENTS];
    held.count = structs.count = 0;
    structs.size = 0;
    clear_arguments(&activation, self->export->signature.vector_count);
    bool converts = keywords == NULL && PyVectorcall_NARGS(nargsf) == self->export->signature.count &&
                    convert_pointers(self, args, &activation, stack, &held, &structs);
    bool returned = converts && enter(self, &activation, stack) == 0 && copy_back(self, &structs, &activation);
    PyObject *result = NULL;
    if (returned && update_dicts(&structs, self->instance)) {
        result = self->export->signature.result == STRUCT_VALUE
                     ? tmebox_struct_unpack(self->export->result_layout, structs.result, self->instance)
                     : finished(self, &activation);
    }
    if (UNLIKELY(held.count != 0)) { /* releasing may run Python code: keep the exception out of its way */
        PyObject *type, *value, *traceback;
        PyErr_Fetch(&type, &value, &traceback);
        let_go(&held);
        PyErr_Restore(type, value, traceback);
    }
    return LIKELY(converts) ? tmebox_called(self->instance, result)
                            : tmebox_call_slow(callable, args, nargsf, keywords);
}

int tmebox_call_plain(PyObject *object, uint64_t times_entered, uint64_t *detected) {
    struct instance *instance = ((struct function *)object)->instance;
    struct activation activation;
    clear_arguments(&activation, 0);
    activation.address = ((struct function *)object)->export->address;
    activation.vector_count = 0;
    uint64_t timeout_ns = instance->timeout_ns;
    int result = detected != NULL
                     ? tmebox_run_into_foreign_lines(instance, &activation, timeout_ns, times_entered, detected)
                 : times_entered == 1 ? tmebox_run(instance, &activation, NULL, 0, timeout_ns)
                                      : tmebox_run_repeatedly(instance, &activation, timeout_ns, times_entered);
    tmebox_called(instance, NULL);
    return result;
}
