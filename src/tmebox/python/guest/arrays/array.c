/* The array itself: made, converted, taken apart. */
#include <string.h>
#include "py/objint.h"
#include "array.h"

size_t element_size(int element) {
    static const uint8_t sizes[ELEMENTS] = {1, 1, 1, 2, 2, 4, 4, 8, 8, 4, 8};
    return sizes[element];
}

mp_int_t array_count(const array_t *array) {
    mp_int_t count = 1;
    for (int d = 0; d < array->dimensions; d++) {
        count *= array->length[d];
    }
    return count;
}

bool tmebox_is_array(mp_obj_t value) {
    return mp_obj_is_type(value, &array_type);
}

array_t *array_get(mp_obj_t value) {
    array_t *array = MP_OBJ_TO_PTR(value);
    if (array->memory == NULL && array->generation != tmebox_mailbox->generation) {
        mp_raise_ValueError(MP_ERROR_TEXT("the host's array did not come along with the snapshot"));
    }
    return array;
}

/* Strides for elements in a row; the bytes that they take. Raises for what cannot be. */
static size_t lay_out(array_t *array) {
    size_t size = element_size(array->element);
    for (int d = array->dimensions; d-- > 0;) {
        if (array->length[d] < 0) {
            mp_raise_ValueError(MP_ERROR_TEXT("a length cannot be negative"));
        }
        array->stride[d] = size;
        if (__builtin_mul_overflow(size, (size_t)array->length[d], &size) || size > INT32_MAX) {
            mp_raise_type(&mp_type_MemoryError);
        }
    }
    return size;
}

array_t *array_new(int element, int dimensions, const mp_int_t *length) {
    array_t *array = mp_obj_malloc(array_t, &array_type);
    array->known_by = 0;
    array->generation = 0;
    array->element = element;
    array->dimensions = dimensions;
    memcpy(array->length, length, dimensions * sizeof *length);
    size_t size = MAX(lay_out(array), 8);
    array->memory = array->data = m_malloc0(size);
    return array;
}

array_t *array_view(const array_t *whole) {
    array_t *view = mp_obj_malloc(array_t, &array_type);
    *view = *whole;
    return view;
}

bool array_is_contiguous(const array_t *array) {
    mp_int_t wanted = element_size(array->element);
    for (int d = array->dimensions; d-- > 0;) {
        if (array->length[d] != 1 && array->stride[d] != wanted) {
            return false;
        }
        wanted *= array->length[d];
    }
    return true;
}

array_t *array_as(array_t *array, int element) {
    array_t *copy = array_new(element, array->dimensions, array->length);
    array_assign(copy, array);
    return copy;
}

array_t *array_contiguous(array_t *array) {
    return array_is_contiguous(array) ? array : array_as(array, array->element);
}

int element_of(mp_obj_t dtype) {
    if (dtype == MP_OBJ_FROM_PTR(&mp_type_int)) {
        return I64;
    }
    if (dtype == MP_OBJ_FROM_PTR(&mp_type_float)) {
        return F64;
    }
    if (dtype == MP_OBJ_FROM_PTR(&mp_type_bool)) {
        return BOOL;
    }
    if (mp_obj_is_type(dtype, &dtype_type)) {
        return ((dtype_t *)MP_OBJ_TO_PTR(dtype))->element;
    }
    if (mp_obj_is_str(dtype)) {
        qstr name = mp_obj_str_get_qstr(dtype);
        for (int i = 0; i < ELEMENTS; i++) {
            if (array_dtypes[i].name == name) {
                return i;
            }
        }
    }
    mp_raise_TypeError(MP_ERROR_TEXT("that is no dtype of an array"));
}

int element_for(mp_obj_t number) {
    if (number == mp_const_true || number == mp_const_false) {
        return BOOL;
    }
    if (mp_obj_is_int(number)) {
        return I64;
    }
    if (mp_obj_is_float(number)) {
        return F64;
    }
    mp_raise_msg_varg(&mp_type_TypeError, MP_ERROR_TEXT("arrays hold numbers, not '%s'"), mp_obj_get_type_str(number));
}

mp_obj_t array_item(const array_t *array, const char *place) {
    double number;
    int64_t integer;
    if (is_float(array->element)) {
        return mp_obj_new_float(*load_floats(place, 0, array->element, 1, &number));
    }
    load_ints(place, 0, array->element, 1, &integer);
    if (array->element == BOOL) {
        return mp_obj_new_bool(integer);
    }
    return array->element == U64 ? mp_obj_new_int_from_ull(integer) : mp_obj_new_int_from_ll(integer);
}

void array_set_item(const array_t *array, char *place, mp_obj_t value) {
    if (is_float(array->element)) {
        double number = mp_obj_get_float(value);
        store_floats(place, 0, array->element, 1, &number);
    } else if (mp_obj_is_float(value)) {
        double number = mp_obj_get_float(value);
        store_floats(place, 0, array->element, 1, &number);
    } else {
        int64_t integer = mp_obj_get_int_truncated(value);
        store_ints(place, 0, array->element, 1, &integer);
    }
}

mp_obj_t array_scalar(array_t *array) {
    return array->dimensions ? MP_OBJ_FROM_PTR(array) : array_item(array, array->data);
}

int take_shape(mp_obj_t shape, mp_int_t *length) {
    if (mp_obj_is_int(shape)) {
        length[0] = mp_obj_get_int(shape);
        return 1;
    }
    size_t count;
    mp_obj_t *items;
    mp_obj_get_array(shape, &count, &items);
    if (count > MOST) {
        mp_raise_ValueError(MP_ERROR_TEXT("arrays have at most four dimensions"));
    }
    for (size_t i = 0; i < count; i++) {
        length[i] = mp_obj_get_int(items[i]);
    }
    return count;
}

mp_int_t take_axis(mp_obj_t axis_in, const array_t *array) {
    mp_int_t axis = mp_obj_get_int(axis_in);
    axis += axis < 0 ? array->dimensions : 0;
    if (axis < 0 || axis >= array->dimensions) {
        mp_raise_ValueError(MP_ERROR_TEXT("the array has no such axis"));
    }
    return axis;
}

/* -- from and to nested lists ------------------------------------------------------------------------ */
static bool is_sequence(mp_obj_t value) {
    return mp_obj_is_type(value, &mp_type_list) || mp_obj_is_tuple_compatible(value);
}

static void measure(mp_obj_t value, int depth, int *dimensions, mp_int_t *length, int *element) {
    if (tmebox_is_array(value)) {
        array_t *array = array_get(value);
        if (depth + array->dimensions > MOST) {
            mp_raise_ValueError(MP_ERROR_TEXT("arrays have at most four dimensions"));
        }
        bool first = *dimensions < 0;
        *dimensions = first ? depth + array->dimensions : *dimensions;
        for (int d = 0; d < array->dimensions; d++) {
            if (first) {
                length[depth + d] = array->length[d];
            } else if (depth + array->dimensions != *dimensions || length[depth + d] != array->length[d]) {
                mp_raise_ValueError(MP_ERROR_TEXT("the rows of an array have one length"));
            }
        }
        *element = *element < 0 ? array->element : promote(*element, array->element);
        return;
    }
    if (!is_sequence(value)) {
        if (*dimensions >= 0 && *dimensions != depth) {
            mp_raise_ValueError(MP_ERROR_TEXT("the rows of an array have one length"));
        }
        *dimensions = depth;
        int own = element_for(value);
        *element = *element < 0 ? own : promote(*element, own);
        return;
    }
    size_t count;
    mp_obj_t *items;
    mp_obj_get_array(value, &count, &items);
    if (depth >= MOST) {
        mp_raise_ValueError(MP_ERROR_TEXT("arrays have at most four dimensions"));
    }
    if (length[depth] >= 0 && length[depth] != (mp_int_t)count) {
        mp_raise_ValueError(MP_ERROR_TEXT("the rows of an array have one length"));
    }
    length[depth] = count;
    if (count == 0 && *dimensions < 0) {
        *dimensions = depth + 1;
    }
    for (size_t i = 0; i < count; i++) {
        measure(items[i], depth + 1, dimensions, length, element);
    }
}

static void fill(array_t *array, char *place, int depth, mp_obj_t value) {
    if (tmebox_is_array(value)) {
        array_t part = *array;
        part.data = place;
        part.dimensions = array->dimensions - depth;
        memmove(part.length, array->length + depth, part.dimensions * sizeof *part.length);
        memmove(part.stride, array->stride + depth, part.dimensions * sizeof *part.stride);
        array_assign(&part, array_get(value));
    } else if (depth == array->dimensions) {
        array_set_item(array, place, value);
    } else {
        size_t count;
        mp_obj_t *items;
        mp_obj_get_array(value, &count, &items);
        for (size_t i = 0; i < count && (mp_int_t)i < array->length[depth]; i++) {
            fill(array, place + (mp_int_t)i * array->stride[depth], depth + 1, items[i]);
        }
    }
}

array_t *array_of(mp_obj_t value) {
    if (tmebox_is_array(value)) {
        return array_get(value);
    }
    if (!is_sequence(value) && !mp_obj_is_int(value) && !mp_obj_is_float(value) && !mp_obj_is_bool(value)) {
        value = mp_call_function_1(MP_OBJ_FROM_PTR(&mp_type_list), value); /* a range, a generator */
    }
    int dimensions = -1, element = -1;
    mp_int_t length[MOST] = {-1, -1, -1, -1};
    measure(value, 0, &dimensions, length, &element);
    array_t *array = array_new(element < 0 ? F64 : element, dimensions, length);
    fill(array, array->data, 0, value);
    return array;
}

static mp_obj_t listed(const array_t *array, const char *place, int depth) {
    if (depth == array->dimensions) {
        return array_item(array, place);
    }
    mp_obj_t list = mp_obj_new_list(0, NULL);
    for (mp_int_t i = 0; i < array->length[depth]; i++) {
        mp_obj_list_append(list, listed(array, place + i * array->stride[depth], depth + 1));
    }
    return list;
}

mp_obj_t array_to_list(const array_t *array) {
    return listed(array, array->data, 0);
}
