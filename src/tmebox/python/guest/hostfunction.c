/* Functions of the host, as the program sees them; modules and errors that come from the host. */
#include <string.h>
#include "py/lexer.h"
#include "py/builtin.h"
#include "py/objexcept.h"
#include "port.h"

typedef struct {
    mp_obj_base_t base;
    qstr name;
} host_function_t;

/* The exception that the host's latest failure became, and its number there. */
MP_REGISTER_ROOT_POINTER(mp_obj_t tmebox_failure);
static mp_int_t failure_number;
MP_REGISTER_ROOT_POINTER(mp_obj_t tmebox_module_source);

mp_int_t tmebox_host_error(mp_obj_t exception) {
    return exception == MP_STATE_VM(tmebox_failure) ? failure_number : 0;
}

/* (number, name of its type, message): raised as the built-in exception of that name. */
static MP_NORETURN void raise_failure(mp_obj_t description) {
    mp_obj_t *parts;
    mp_obj_get_array_fixed_n(description, 3, &parts);
    const mp_obj_type_t *type = &mp_type_RuntimeError;
    mp_map_elem_t *found = mp_map_lookup((mp_map_t *)&mp_module_builtins.globals->map,
        MP_OBJ_NEW_QSTR(mp_obj_str_get_qstr(parts[1])), MP_MAP_LOOKUP);
    if (found != NULL && mp_obj_is_exception_type(found->value)) {
        type = MP_OBJ_TO_PTR(found->value);
    }
    mp_obj_t exception = mp_obj_new_exception_arg1(type, parts[2]);
    MP_STATE_VM(tmebox_failure) = exception;
    failure_number = mp_obj_get_int(parts[0]);
    nlr_raise(exception);
}

mp_obj_t tmebox_ask(unsigned operation, vstr_t *request) {
    tmebox_flush();
    tmebox_post(request);
    uint64_t reply = python_host(operation);
    const unsigned char *data = (const unsigned char *)(uintptr_t)(reply >> 32);
    size_t size = (uint32_t)reply;
    unsigned char *copied = NULL;
    if (data >= tmebox_mailbox->transfer && data < tmebox_mailbox->transfer + WIRE_TRANSFER_SIZE) {
        /* A finalizer may call the host while this is decoded. */
        copied = m_new(unsigned char, size);
        memcpy(copied, data, size);
        data = copied;
    }
    bool failed = data[0] == WIRE_FAILED;
    mp_obj_t value = tmebox_decode(data + failed, size - failed);
    if (copied != NULL) {
        m_del(unsigned char, copied, size);
    }
    if (failed) {
        raise_failure(value);
    }
    return value;
}

static mp_obj_t call(mp_obj_t self_in, size_t count, size_t named, const mp_obj_t *arguments) {
    host_function_t *self = MP_OBJ_TO_PTR(self_in);
    vstr_t request;
    vstr_init(&request, 128);
    tmebox_begin(&request, WIRE_TUPLE, 3);
    size_t size;
    const byte *name = qstr_data(self->name, &size);
    tmebox_put_text(&request, (const char *)name, size);
    tmebox_begin(&request, WIRE_TUPLE, count);
    for (size_t i = 0; i < count; i++) {
        tmebox_encode(&request, arguments[i]);
    }
    tmebox_begin(&request, WIRE_DICT, named);
    for (size_t i = count; i < count + 2 * named; i++) {
        tmebox_encode(&request, arguments[i]);
    }
    mp_obj_t result = tmebox_ask(WIRE_HOST_CALL, &request);
    vstr_clear(&request);
    return result;
}

static void print(const mp_print_t *out, mp_obj_t self_in, mp_print_kind_t kind) {
    (void)kind;
    host_function_t *self = MP_OBJ_TO_PTR(self_in);
    mp_printf(out, "<host function %q>", self->name);
}

static void attribute(mp_obj_t self_in, qstr name, mp_obj_t *found) {
    host_function_t *self = MP_OBJ_TO_PTR(self_in);
    if (found[0] == MP_OBJ_NULL && name == MP_QSTR___name__) {
        found[0] = MP_OBJ_NEW_QSTR(self->name);
    }
}

static MP_DEFINE_CONST_OBJ_TYPE(host_function_type, MP_QSTR_host_function, MP_TYPE_FLAG_NONE,
    print, print, call, call, attr, attribute);

mp_obj_t tmebox_host_function(qstr name) {
    host_function_t *self = mp_obj_malloc(host_function_t, &host_function_type);
    self->name = name;
    return MP_OBJ_FROM_PTR(self);
}

/* -- modules that the host gives as source ----------------------------------------------------------- */
mp_import_stat_t mp_import_stat(const char *path) {
    size_t size = strlen(path);
    if (!tmebox_mailbox->has_modules || size < 4 || strcmp(path + size - 3, ".py") != 0) {
        return MP_IMPORT_STAT_NO_EXIST;
    }
    vstr_t request;
    vstr_init(&request, 64);
    tmebox_put_text(&request, path, size - 3);
    MP_STATE_VM(tmebox_module_source) = tmebox_ask(WIRE_HOST_MODULE, &request);
    bool found = MP_STATE_VM(tmebox_module_source) != mp_const_none;
    return found ? MP_IMPORT_STAT_FILE : MP_IMPORT_STAT_NO_EXIST;
}

/* Called right after mp_import_stat() found the module; by anything else, there is no such file. */
mp_lexer_t *mp_lexer_new_from_file(qstr name) {
    mp_obj_t source = MP_STATE_VM(tmebox_module_source);
    MP_STATE_VM(tmebox_module_source) = mp_const_none;
    if (source == MP_OBJ_NULL || !mp_obj_is_str(source)) {
        mp_raise_msg(&mp_type_OSError, MP_ERROR_TEXT("there are no files in the sandbox"));
    }
    size_t size;
    const char *text = mp_obj_str_get_data(source, &size);
    return mp_lexer_new_from_str_len(name, text, size, 0);
}
