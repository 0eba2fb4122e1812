/* Subscripts: numbers, slices, None, `...`, a mask, or a list of places along one axis. */
#include <string.h>
#include "array.h"

static void drop_axis(array_t *view, int axis) {
    view->dimensions -= 1;
    for (int d = axis; d < view->dimensions; d++) {
        view->length[d] = view->length[d + 1];
        view->stride[d] = view->stride[d + 1];
    }
}

static void add_axis(array_t *view, int axis) {
    if (view->dimensions == MOST) {
        mp_raise_ValueError(MP_ERROR_TEXT("arrays have at most four dimensions"));
    }
    for (int d = view->dimensions; d > axis; d--) {
        view->length[d] = view->length[d - 1];
        view->stride[d] = view->stride[d - 1];
    }
    view->dimensions += 1;
    view->length[axis] = 1;
    view->stride[axis] = 0;
}

static mp_int_t in_range(mp_int_t place, mp_int_t length) {
    mp_int_t index = place < 0 ? place + length : place;
    if (index < 0 || index >= length) {
        mp_raise_msg(&mp_type_IndexError, MP_ERROR_TEXT("the index is out of range"));
    }
    return index;
}

static void cut(array_t *view, int axis, mp_obj_t slice) {
    mp_bound_slice_t bound;
    mp_obj_slice_indices(slice, view->length[axis], &bound);
    mp_int_t span = bound.step > 0 ? bound.stop - bound.start + bound.step - 1 : bound.start - bound.stop - bound.step - 1;
    mp_int_t step = bound.step > 0 ? bound.step : -bound.step, count = span > 0 ? span / step : 0;
    if (count > 0) {
        view->data += bound.start * view->stride[axis];
    }
    view->length[axis] = count;
    view->stride[axis] *= bound.step;
}

static bool is_many(mp_obj_t index) {
    return tmebox_is_array(index) || mp_obj_is_type(index, &mp_type_list);
}

/* Integers: places along an axis, of a mask those where it is true. */
static array_t *places(mp_obj_t index, mp_int_t length) {
    array_t *given = array_of(index);
    mp_int_t count = array_count(given), found = 0;
    if (count == 0) {
        return array_new(I64, 1, &count);
    }
    if (given->dimensions != 1 || is_float(given->element)) {
        mp_raise_msg(&mp_type_IndexError, MP_ERROR_TEXT("along an axis, places are a row of integers or booleans"));
    }
    given = array_as(given, given->element == BOOL ? BOOL : I64);
    charge(count);
    if (given->element != BOOL) {
        int64_t *place = (int64_t *)given->data;
        for (mp_int_t i = 0; i < count; i++) {
            place[i] = in_range(place[i], length);
        }
        return given;
    }
    if (count != length) {
        mp_raise_msg(&mp_type_IndexError, MP_ERROR_TEXT("the mask is not as long as the axis"));
    }
    for (mp_int_t i = 0; i < count; i++) {
        found += given->data[i] != 0;
    }
    array_t *result = array_new(I64, 1, &found);
    int64_t *place = (int64_t *)result->data;
    for (mp_int_t i = 0; i < count; i++) {
        if (given->data[i]) {
            *place++ = i;
        }
    }
    return result;
}

/* The view without what many places choose; how they choose comes back in `many` and `axis`. */
static array_t *simple(array_t *array, mp_obj_t index, mp_obj_t *many, int *axis) {
    size_t count = 1, used = 0;
    mp_obj_t *parts = &index;
    if (mp_obj_is_type(index, &mp_type_tuple)) {
        mp_obj_tuple_get(index, &count, &parts);
    }
    array_t *view = array_view(array);
    for (size_t i = 0; i < count; i++) {
        used += parts[i] != mp_const_none && parts[i] != MP_OBJ_FROM_PTR(&mp_const_ellipsis_obj);
    }
    int d = 0;
    for (size_t i = 0; i < count; i++) {
        if (parts[i] == mp_const_none) {
            add_axis(view, d++);
        } else if (parts[i] == MP_OBJ_FROM_PTR(&mp_const_ellipsis_obj)) {
            d += MAX(array->dimensions - (mp_int_t)used, 0);
        } else if (d >= view->dimensions) {
            mp_raise_msg(&mp_type_IndexError, MP_ERROR_TEXT("the array has fewer dimensions than the index"));
        } else if (mp_obj_is_type(parts[i], &mp_type_slice)) {
            cut(view, d++, parts[i]);
        } else if (is_many(parts[i])) {
            if (*many != MP_OBJ_NULL) {
                mp_raise_msg(&mp_type_IndexError, MP_ERROR_TEXT("one axis at a time can be indexed by an array"));
            }
            *many = parts[i];
            *axis = d++;
        } else {
            view->data += in_range(mp_obj_get_int(parts[i]), view->length[d]) * view->stride[d];
            drop_axis(view, d);
        }
    }
    return view;
}

static array_t *one_place(const array_t *view, int axis, mp_int_t place) {
    array_t *part = array_view(view);
    part->data += place * view->stride[axis];
    drop_axis(part, axis);
    return part;
}

/* Elements at places along an axis: a new array. */
array_t *array_take(array_t *view, int axis, const array_t *where) {
    mp_int_t length[MOST];
    memcpy(length, view->length, sizeof length);
    length[axis] = where->length[0];
    array_t *result = array_new(view->element, view->dimensions, length);
    const int64_t *place = (const int64_t *)where->data;
    if (view->dimensions == 1) {
        size_t size = element_size(view->element);
        charge(where->length[0]);
        for (mp_int_t i = 0; i < where->length[0]; i++) {
            memcpy(result->data + i * size, view->data + place[i] * view->stride[0], size);
        }
        return result;
    }
    for (mp_int_t i = 0; i < where->length[0]; i++) {
        array_assign(one_place(result, axis, i), one_place(view, axis, place[i]));
    }
    return result;
}

/* A mask of the array's own shape chooses from it as if both were one row. */
static bool masks_all(const array_t *view, mp_obj_t index) {
    if (!tmebox_is_array(index)) {
        return false;
    }
    array_t *mask = array_get(index);
    return mask->element == BOOL && mask->dimensions == view->dimensions && view->dimensions > 1
        && memcmp(mask->length, view->length, view->dimensions * sizeof(mp_int_t)) == 0;
}

static array_t *flat(array_t *array) {
    array_t *row = array_view(array_contiguous(array));
    row->length[0] = array_count(array);
    row->stride[0] = element_size(array->element);
    row->dimensions = 1;
    return row;
}

static void store_at(array_t *view, int axis, const array_t *where, mp_obj_t value_in) {
    array_t *value = array_of(value_in);
    const int64_t *place = (const int64_t *)where->data;
    bool each = value->dimensions == view->dimensions && value->length[axis] == where->length[0];
    charge(where->length[0]);
    for (mp_int_t i = 0; i < where->length[0]; i++) {
        array_assign(one_place(view, axis, place[i]), each ? one_place(value, axis, i) : value);
    }
}

mp_obj_t array_subscript(mp_obj_t self, mp_obj_t index, mp_obj_t value) {
    array_t *array = array_get(self);
    if (value == MP_OBJ_NULL) {
        mp_raise_TypeError(MP_ERROR_TEXT("elements of an array cannot be deleted"));
    }
    bool load = value == MP_OBJ_SENTINEL;
    if (mp_obj_is_small_int(index) && array->dimensions == 1) { /* by far the most frequent */
        char *place = array->data + in_range(MP_OBJ_SMALL_INT_VALUE(index), array->length[0]) * array->stride[0];
        if (load) {
            return array_item(array, place);
        }
        if (!tmebox_is_array(value)) {
            array_set_item(array, place, value);
            return mp_const_none;
        }
    }
    if (masks_all(array, index)) {
        array_t *row = flat(array), *where = places(MP_OBJ_FROM_PTR(flat(array_get(index))), row->length[0]);
        if (load) {
            return MP_OBJ_FROM_PTR(array_take(row, 0, where));
        }
        store_at(row, 0, where, value);
        if (row->data != array->data) { /* it was copied */
            row->dimensions = array->dimensions;
            array_t *back = array_new(array->element, array->dimensions, array->length);
            memcpy(back->data, row->data, array_count(array) * element_size(array->element));
            array_assign(array, back);
        }
        return mp_const_none;
    }
    mp_obj_t many = MP_OBJ_NULL;
    int axis = 0;
    array_t *view = simple(array, index, &many, &axis);
    if (many == MP_OBJ_NULL) {
        if (load) {
            return array_scalar(view);
        }
        array_assign(view, array_of(value));
        return mp_const_none;
    }
    array_t *where = places(many, view->length[axis]);
    if (load) {
        return MP_OBJ_FROM_PTR(array_take(view, axis, where));
    }
    store_at(view, axis, where, value);
    return mp_const_none;
}
