/* The module `_array`: what makes arrays, and functions of them. `numpy.py` is what programs import. */
#include <math.h>
#include <string.h>
#include "array.h"
#include "order.h"
#include "ufunc.h"

#define DTYPE(number, text) [number] = {{&dtype_type}, number, MP_QSTR_##text}
const dtype_t array_dtypes[ELEMENTS] = {
    DTYPE(BOOL, bool), DTYPE(I8, int8), DTYPE(U8, uint8), DTYPE(I16, int16), DTYPE(U16, uint16), DTYPE(I32, int32),
    DTYPE(U32, uint32), DTYPE(I64, int64), DTYPE(U64, uint64), DTYPE(F32, float32), DTYPE(F64, float64),
};

static void dtype_print(const mp_print_t *print, mp_obj_t self, mp_print_kind_t kind) {
    qstr name = ((dtype_t *)MP_OBJ_TO_PTR(self))->name;
    mp_printf(print, kind == PRINT_REPR ? "dtype('%q')" : "%q", name);
}

static mp_obj_t dtype_call(mp_obj_t self, size_t count, size_t named, const mp_obj_t *arguments) {
    mp_arg_check_num(count, named, 1, 1, false);
    return array_scalar(array_as(array_of(arguments[0]), ((dtype_t *)MP_OBJ_TO_PTR(self))->element));
}

static void dtype_attribute(mp_obj_t self_in, qstr name, mp_obj_t *found) {
    dtype_t *self = MP_OBJ_TO_PTR(self_in);
    if (found[0] == MP_OBJ_NULL && (name == MP_QSTR_name || name == MP_QSTR___name__)) {
        found[0] = MP_OBJ_NEW_QSTR(self->name);
    } else if (found[0] == MP_OBJ_NULL && name == MP_QSTR_itemsize) {
        found[0] = MP_OBJ_NEW_SMALL_INT(element_size(self->element));
    } else if (found[0] == MP_OBJ_NULL && name == MP_QSTR_kind) {
        const char *kinds = "biuiuiuiuff";
        found[0] = mp_obj_new_str(kinds + self->element, 1);
    }
}

static mp_obj_t dtype_equal(mp_binary_op_t operation, mp_obj_t left, mp_obj_t right) {
    if (operation != MP_BINARY_OP_EQUAL) {
        return MP_OBJ_NULL;
    }
    nlr_buf_t handler;
    bool same = false;
    if (nlr_push(&handler) == 0) {
        same = element_of(left) == element_of(right);
        nlr_pop();
    }
    return mp_obj_new_bool(same);
}

MP_DEFINE_CONST_OBJ_TYPE(dtype_type, MP_QSTR_dtype, MP_TYPE_FLAG_EQ_CHECKS_OTHER_TYPE, print, dtype_print,
    call, dtype_call, attr, dtype_attribute, binary_op, dtype_equal);

static mp_obj_t new(mp_obj_t shape, mp_obj_t dtype) {
    mp_int_t length[MOST];
    int dimensions = take_shape(shape, length);
    return MP_OBJ_FROM_PTR(array_new(element_of(dtype), dimensions, length));
}
static MP_DEFINE_CONST_FUN_OBJ_2(new_obj, new);

static mp_obj_t from(mp_obj_t value, mp_obj_t dtype) {
    array_t *array = array_of(value);
    int element = dtype == mp_const_none ? array->element : element_of(dtype);
    return MP_OBJ_FROM_PTR(tmebox_is_array(value) || element != array->element ? array_as(array, element) : array);
}
static MP_DEFINE_CONST_FUN_OBJ_2(from_obj, from);

static mp_obj_t from_buffer(mp_obj_t value, mp_obj_t dtype) {
    mp_buffer_info_t buffer;
    mp_get_buffer_raise(value, &buffer, MP_BUFFER_READ);
    mp_int_t length = buffer.len / element_size(element_of(dtype));
    array_t *array = array_new(element_of(dtype), 1, &length);
    memcpy(array->data, buffer.buf, length * element_size(array->element));
    return MP_OBJ_FROM_PTR(array);
}
static MP_DEFINE_CONST_FUN_OBJ_2(from_buffer_obj, from_buffer);

static mp_obj_t to_bytes(mp_obj_t value) {
    array_t *array = array_contiguous(array_of(value));
    return mp_obj_new_bytes((const byte *)array->data, array_count(array) * element_size(array->element));
}
static MP_DEFINE_CONST_FUN_OBJ_1(to_bytes_obj, to_bytes);

/* count numbers from `first` on, `step` apart. */
static mp_obj_t ramp(size_t given, const mp_obj_t *arguments) {
    (void)given;
    mp_int_t count = MAX(mp_obj_get_int(arguments[2]), 0);
    array_t *array = array_new(element_of(arguments[3]), 1, &count);
    charge(count);
    bool whole = mp_obj_is_int(arguments[0]) && mp_obj_is_int(arguments[1]);
    double first = mp_obj_get_float(arguments[0]), step = mp_obj_get_float(arguments[1]);
    for (mp_int_t i = 0; i < count; i++) {
        char *place = array->data + i * element_size(array->element);
        if (whole) {
            int64_t value = (uint64_t)mp_obj_get_int(arguments[0]) + (uint64_t)i * mp_obj_get_int(arguments[1]);
            is_float(array->element) ? store_floats(place, 0, array->element, 1, (double[]){value})
                : store_ints(place, 0, array->element, 1, &value);
        } else {
            double value = first + i * step;
            store_floats(place, 0, array->element, 1, &value);
        }
    }
    return MP_OBJ_FROM_PTR(array);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(ramp_obj, 4, 4, ramp);

static mp_obj_t apply(mp_obj_t operation, mp_obj_t left, mp_obj_t right) {
    return array_scalar(array_apply(mp_obj_get_int(operation), left, right));
}
static MP_DEFINE_CONST_FUN_OBJ_3(apply_obj, apply);

static mp_obj_t map(mp_obj_t function, mp_obj_t value) {
    return array_scalar(array_map(mp_obj_get_int(function), value));
}
static MP_DEFINE_CONST_FUN_OBJ_2(map_obj, map);

struct where {
    int element;
    int from[2];
};

static void where_step(void *context, size_t count, char *const *data, const mp_int_t *stride) {
    const struct where *where = context;
    size_t size = element_size(where->element);
    for (mp_int_t i = 0; i < (mp_int_t)count; i++) {
        int chosen = *(uint8_t *)(data[1] + i * stride[1]) ? 2 : 3;
        memcpy(data[0] + i * stride[0], data[chosen] + i * stride[chosen], size);
    }
}

static mp_obj_t where(mp_obj_t condition, mp_obj_t yes, mp_obj_t no) {
    array_t *all[3] = {array_of(condition), array_of(yes), array_of(no)};
    mp_int_t length[MOST];
    int dimensions = broadcast(length, 3, all), element = promote(all[1]->element, all[2]->element);
    array_t *result = array_new(element, dimensions, length);
    struct where context = {element, {0, 0}};
    struct walk walk;
    walk_begin(&walk, dimensions, length);
    walk_add(&walk, result);
    walk_add(&walk, all[0]->element == BOOL ? all[0] : array_as(all[0], BOOL));
    walk_add(&walk, all[1]->element == element ? all[1] : array_as(all[1], element));
    walk_add(&walk, all[2]->element == element ? all[2] : array_as(all[2], element));
    walk_go(&walk, where_step, &context);
    return array_scalar(result);
}
static MP_DEFINE_CONST_FUN_OBJ_3(where_obj, where);

static mp_obj_t nonzero(mp_obj_t value) {
    array_t *mask = array_as(array_of(value), BOOL);
    mp_int_t count = array_count(mask), found = 0;
    charge(count);
    for (mp_int_t i = 0; i < count; i++) {
        found += mask->data[i] != 0;
    }
    array_t *result = array_new(I64, 1, &found);
    int64_t *place = (int64_t *)result->data;
    for (mp_int_t i = 0; i < count; i++) {
        if (mask->data[i]) {
            *place++ = i;
        }
    }
    return MP_OBJ_FROM_PTR(result);
}
static MP_DEFINE_CONST_FUN_OBJ_1(nonzero_obj, nonzero);

/* The view [start, stop) along an axis. */
static mp_obj_t part(size_t count, const mp_obj_t *arguments) {
    (void)count;
    array_t *view = array_view(array_get(arguments[0]));
    mp_int_t axis = take_axis(arguments[1], view), start = mp_obj_get_int(arguments[2]);
    mp_int_t stop = mp_obj_get_int(arguments[3]);
    if (start < 0 || stop < start || stop > view->length[axis]) {
        mp_raise_msg(&mp_type_IndexError, MP_ERROR_TEXT("the index is out of range"));
    }
    view->data += start * view->stride[axis];
    view->length[axis] = stop - start;
    return MP_OBJ_FROM_PTR(view);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(part_obj, 4, 4, part);

#define FUNCTION(name) MP_DECLARE_CONST_FUN_OBJ_KW(array_##name##_obj)
FUNCTION(sum); FUNCTION(prod); FUNCTION(mean); FUNCTION(any); FUNCTION(all); FUNCTION(min); FUNCTION(max);
FUNCTION(argmin); FUNCTION(argmax); FUNCTION(var); FUNCTION(std);
MP_DECLARE_CONST_FUN_OBJ_1(array_cumsum_obj);
MP_DECLARE_CONST_FUN_OBJ_1(array_cumprod_obj);
MP_DECLARE_CONST_FUN_OBJ_1(array_ravel_obj);
MP_DECLARE_CONST_FUN_OBJ_1(array_copy_obj);
MP_DECLARE_CONST_FUN_OBJ_1(array_transpose_obj);
MP_DECLARE_CONST_FUN_OBJ_1(array_argsort_obj);
MP_DECLARE_CONST_FUN_OBJ_1(array_sorted_obj);
MP_DECLARE_CONST_FUN_OBJ_2(array_dot_obj);
MP_DECLARE_CONST_FUN_OBJ_3(array_clip_obj);
MP_DECLARE_CONST_FUN_OBJ_VAR(array_reshape_obj);

#define ENTRY(name, object) {MP_ROM_QSTR(MP_QSTR_##name), MP_ROM_PTR(&object)}
#define DTYPE_ENTRY(name, number) {MP_ROM_QSTR(MP_QSTR_##name), MP_ROM_PTR(&array_dtypes[number])}
static const mp_rom_map_elem_t globals_table[] = {
    {MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR__array)},
    ENTRY(ndarray, array_type), ENTRY(new, new_obj), ENTRY(from_, from_obj), ENTRY(frombuffer, from_buffer_obj),
    ENTRY(tobytes, to_bytes_obj), ENTRY(ramp, ramp_obj), ENTRY(apply, apply_obj), ENTRY(map, map_obj),
    ENTRY(where, where_obj), ENTRY(part, part_obj), ENTRY(nonzero, nonzero_obj),
    ENTRY(sum, array_sum_obj), ENTRY(prod, array_prod_obj), ENTRY(mean, array_mean_obj), ENTRY(any, array_any_obj),
    ENTRY(all, array_all_obj), ENTRY(min, array_min_obj), ENTRY(max, array_max_obj), ENTRY(argmin, array_argmin_obj),
    ENTRY(argmax, array_argmax_obj), ENTRY(var, array_var_obj), ENTRY(std, array_std_obj),
    ENTRY(cumsum, array_cumsum_obj), ENTRY(cumprod, array_cumprod_obj), ENTRY(ravel, array_ravel_obj),
    ENTRY(copy, array_copy_obj), ENTRY(transpose, array_transpose_obj), ENTRY(argsort, array_argsort_obj),
    ENTRY(sort, array_sorted_obj), ENTRY(dot, array_dot_obj), ENTRY(clip, array_clip_obj),
    ENTRY(reshape, array_reshape_obj),
    DTYPE_ENTRY(bool_, BOOL), DTYPE_ENTRY(int8, I8), DTYPE_ENTRY(uint8, U8), DTYPE_ENTRY(int16, I16),
    DTYPE_ENTRY(uint16, U16), DTYPE_ENTRY(int32, I32), DTYPE_ENTRY(uint32, U32), DTYPE_ENTRY(int64, I64),
    DTYPE_ENTRY(uint64, U64), DTYPE_ENTRY(float32, F32), DTYPE_ENTRY(float64, F64),
};
static MP_DEFINE_CONST_DICT(globals, globals_table);

const mp_obj_module_t tmebox_array_module = {{&mp_type_module}, (mp_obj_dict_t *)&globals};
MP_REGISTER_MODULE(MP_QSTR__array, tmebox_array_module);
