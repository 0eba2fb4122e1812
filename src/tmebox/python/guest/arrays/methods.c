/* Attributes and methods of arrays, and how they are shown. */
#include <math.h>
#include <string.h>
#include "array.h"
#include "order.h"
#include "ufunc.h"
#include "reduce.h"

/* More elements than this are shown by the first and the last of them. */
#define MOST_SHOWN 1000
#define SHOWN_AT_THE_ENDS 3

static mp_obj_t argument(size_t count, const mp_obj_t *arguments, mp_map_t *named, size_t place, qstr name,
    mp_obj_t otherwise) {
    if (place < count) {
        return arguments[place];
    }
    mp_map_elem_t *found = mp_map_lookup(named, MP_OBJ_NEW_QSTR(name), MP_MAP_LOOKUP);
    return found ? found->value : otherwise;
}

#define REDUCTION(name, number) \
    static mp_obj_t name(size_t count, const mp_obj_t *arguments, mp_map_t *named) { \
        mp_obj_t axis = argument(count, arguments, named, 1, MP_QSTR_axis, mp_const_none); \
        return array_reduce(number, array_of(arguments[0]), axis); \
    } \
    MP_DEFINE_CONST_FUN_OBJ_KW(array_##name##_obj, 1, name);
REDUCTION(sum, SUM)
REDUCTION(prod, PRODUCT)
REDUCTION(mean, MEAN)
REDUCTION(any, ANY)
REDUCTION(all, ALL)
REDUCTION(min, 6)
REDUCTION(max, 7)
REDUCTION(argmin, ARGMIN)
REDUCTION(argmax, ARGMAX)
_Static_assert(ARGMIN == 8, "min and max are 6 and 7");

static mp_obj_t variance(size_t count, const mp_obj_t *arguments, mp_map_t *named, bool root) {
    array_t *array = array_of(arguments[0]);
    mp_obj_t axis = argument(count, arguments, named, 1, MP_QSTR_axis, mp_const_none);
    mp_int_t freedom = mp_obj_get_int(argument(count, arguments, named, 9, MP_QSTR_ddof, MP_OBJ_NEW_SMALL_INT(0)));
    mp_int_t seen = axis == mp_const_none ? array_count(array) : array->length[take_axis(axis, array)];
    mp_obj_t result = array_reduce(VARIANCE, array, axis);
    if (freedom != 0) {
        result = mp_binary_op(MP_BINARY_OP_MULTIPLY, result, mp_obj_new_float((double)seen / (seen - freedom)));
    }
    return root ? array_scalar(array_map(SQRT, result)) : result;
}

static mp_obj_t var(size_t count, const mp_obj_t *arguments, mp_map_t *named) {
    return variance(count, arguments, named, false);
}
MP_DEFINE_CONST_FUN_OBJ_KW(array_var_obj, 1, var);

static mp_obj_t standard_deviation(size_t count, const mp_obj_t *arguments, mp_map_t *named) {
    return variance(count, arguments, named, true);
}
MP_DEFINE_CONST_FUN_OBJ_KW(array_std_obj, 1, standard_deviation);

static mp_obj_t cumsum(mp_obj_t self) {
    return array_cumulate(array_of(self), false);
}
MP_DEFINE_CONST_FUN_OBJ_1(array_cumsum_obj, cumsum);

static mp_obj_t cumprod(mp_obj_t self) {
    return array_cumulate(array_of(self), true);
}
MP_DEFINE_CONST_FUN_OBJ_1(array_cumprod_obj, cumprod);

static mp_obj_t reshape(size_t count, const mp_obj_t *arguments) {
    array_t *array = array_of(arguments[0]), *view = array_view(array_contiguous(array));
    mp_obj_t shape = count == 2 ? arguments[1] : mp_obj_new_tuple(count - 1, arguments + 1);
    view->dimensions = take_shape(shape, view->length);
    mp_int_t total = array_count(array), known = 1, open = -1;
    for (int d = 0; d < view->dimensions; d++) {
        if (view->length[d] < 0 && open < 0) {
            open = d;
        } else if (view->length[d] < 0 || __builtin_mul_overflow(known, view->length[d], &known)) {
            mp_raise_ValueError(MP_ERROR_TEXT("that is no shape"));
        }
    }
    if (open >= 0) {
        view->length[open] = known ? total / known : 0;
        known *= view->length[open];
    }
    if (known != total) {
        mp_raise_ValueError(MP_ERROR_TEXT("the shape has another number of elements than the array"));
    }
    mp_int_t stride = element_size(array->element);
    for (int d = view->dimensions; d-- > 0;) {
        view->stride[d] = stride;
        stride *= view->length[d];
    }
    return MP_OBJ_FROM_PTR(view);
}
MP_DEFINE_CONST_FUN_OBJ_VAR(array_reshape_obj, 2, reshape);

static mp_obj_t ravel(mp_obj_t self) {
    mp_obj_t arguments[2] = {self, MP_OBJ_NEW_SMALL_INT(-1)};
    return reshape(2, arguments);
}
MP_DEFINE_CONST_FUN_OBJ_1(array_ravel_obj, ravel);

static mp_obj_t copy(mp_obj_t self) {
    array_t *array = array_of(self);
    return MP_OBJ_FROM_PTR(array_as(array, array->element));
}
MP_DEFINE_CONST_FUN_OBJ_1(array_copy_obj, copy);

static mp_obj_t flatten(mp_obj_t self) {
    return ravel(copy(self));
}
MP_DEFINE_CONST_FUN_OBJ_1(array_flatten_obj, flatten);

static mp_obj_t astype(mp_obj_t self, mp_obj_t dtype) {
    return MP_OBJ_FROM_PTR(array_as(array_get(self), element_of(dtype)));
}
static MP_DEFINE_CONST_FUN_OBJ_2(astype_obj, astype);

static mp_obj_t tolist(mp_obj_t self) {
    return array_to_list(array_get(self));
}
static MP_DEFINE_CONST_FUN_OBJ_1(tolist_obj, tolist);

static mp_obj_t item(size_t count, const mp_obj_t *arguments) {
    array_t *array = array_get(arguments[0]);
    if (count == 2) {
        return array_subscript(ravel(arguments[0]), arguments[1], MP_OBJ_SENTINEL);
    }
    if (array_count(array) != 1) {
        mp_raise_ValueError(MP_ERROR_TEXT("item() is of arrays with one element"));
    }
    return array_item(array, array->data);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(item_obj, 1, 2, item);

static mp_obj_t fill(mp_obj_t self, mp_obj_t value) {
    array_assign(array_get(self), array_of(value));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(fill_obj, fill);

mp_obj_t array_transpose(mp_obj_t self) {
    array_t *array = array_of(self), *view = array_view(array);
    for (int d = 0; d < array->dimensions; d++) {
        view->length[d] = array->length[array->dimensions - 1 - d];
        view->stride[d] = array->stride[array->dimensions - 1 - d];
    }
    return MP_OBJ_FROM_PTR(view);
}
MP_DEFINE_CONST_FUN_OBJ_1(array_transpose_obj, array_transpose);

static mp_obj_t argsort(mp_obj_t self) {
    return MP_OBJ_FROM_PTR(array_argsort(array_of(self)));
}
MP_DEFINE_CONST_FUN_OBJ_1(array_argsort_obj, argsort);

static mp_obj_t sorted(mp_obj_t self) {
    array_t *array = array_of(self);
    return MP_OBJ_FROM_PTR(array_take(array, 0, array_argsort(array)));
}
MP_DEFINE_CONST_FUN_OBJ_1(array_sorted_obj, sorted);

static mp_obj_t sort(mp_obj_t self) {
    array_assign(array_get(self), MP_OBJ_TO_PTR(sorted(self)));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(sort_obj, sort);

MP_DEFINE_CONST_FUN_OBJ_2(array_dot_obj, array_dot);

static mp_obj_t clip(mp_obj_t self, mp_obj_t low, mp_obj_t high) {
    mp_obj_t result = low == mp_const_none ? self : MP_OBJ_FROM_PTR(array_apply(MAXIMUM, self, low));
    return high == mp_const_none ? result : MP_OBJ_FROM_PTR(array_apply(MINIMUM, result, high));
}
MP_DEFINE_CONST_FUN_OBJ_3(array_clip_obj, clip);

static const mp_rom_map_elem_t methods_table[] = {
    {MP_ROM_QSTR(MP_QSTR_sum), MP_ROM_PTR(&array_sum_obj)},
    {MP_ROM_QSTR(MP_QSTR_prod), MP_ROM_PTR(&array_prod_obj)},
    {MP_ROM_QSTR(MP_QSTR_mean), MP_ROM_PTR(&array_mean_obj)},
    {MP_ROM_QSTR(MP_QSTR_std), MP_ROM_PTR(&array_std_obj)},
    {MP_ROM_QSTR(MP_QSTR_var), MP_ROM_PTR(&array_var_obj)},
    {MP_ROM_QSTR(MP_QSTR_any), MP_ROM_PTR(&array_any_obj)},
    {MP_ROM_QSTR(MP_QSTR_all), MP_ROM_PTR(&array_all_obj)},
    {MP_ROM_QSTR(MP_QSTR_min), MP_ROM_PTR(&array_min_obj)},
    {MP_ROM_QSTR(MP_QSTR_max), MP_ROM_PTR(&array_max_obj)},
    {MP_ROM_QSTR(MP_QSTR_argmin), MP_ROM_PTR(&array_argmin_obj)},
    {MP_ROM_QSTR(MP_QSTR_argmax), MP_ROM_PTR(&array_argmax_obj)},
    {MP_ROM_QSTR(MP_QSTR_cumsum), MP_ROM_PTR(&array_cumsum_obj)},
    {MP_ROM_QSTR(MP_QSTR_cumprod), MP_ROM_PTR(&array_cumprod_obj)},
    {MP_ROM_QSTR(MP_QSTR_reshape), MP_ROM_PTR(&array_reshape_obj)},
    {MP_ROM_QSTR(MP_QSTR_ravel), MP_ROM_PTR(&array_ravel_obj)},
    {MP_ROM_QSTR(MP_QSTR_flatten), MP_ROM_PTR(&array_flatten_obj)},
    {MP_ROM_QSTR(MP_QSTR_copy), MP_ROM_PTR(&array_copy_obj)},
    {MP_ROM_QSTR(MP_QSTR_astype), MP_ROM_PTR(&astype_obj)},
    {MP_ROM_QSTR(MP_QSTR_tolist), MP_ROM_PTR(&tolist_obj)},
    {MP_ROM_QSTR(MP_QSTR_item), MP_ROM_PTR(&item_obj)},
    {MP_ROM_QSTR(MP_QSTR_fill), MP_ROM_PTR(&fill_obj)},
    {MP_ROM_QSTR(MP_QSTR_transpose), MP_ROM_PTR(&array_transpose_obj)},
    {MP_ROM_QSTR(MP_QSTR_sort), MP_ROM_PTR(&sort_obj)},
    {MP_ROM_QSTR(MP_QSTR_argsort), MP_ROM_PTR(&array_argsort_obj)},
    {MP_ROM_QSTR(MP_QSTR_dot), MP_ROM_PTR(&array_dot_obj)},
    {MP_ROM_QSTR(MP_QSTR_clip), MP_ROM_PTR(&array_clip_obj)},
};
static MP_DEFINE_CONST_DICT(methods, methods_table);

static void attribute(mp_obj_t self, qstr name, mp_obj_t *found) {
    if (found[0] != MP_OBJ_NULL) {
        return; /* none can be set */
    }
    array_t *array = MP_OBJ_TO_PTR(self);
    switch (name) {
        case MP_QSTR_shape: {
            mp_obj_t lengths[MOST];
            for (int d = 0; d < array->dimensions; d++) {
                lengths[d] = mp_obj_new_int(array->length[d]);
            }
            found[0] = mp_obj_new_tuple(array->dimensions, lengths);
            break;
        }
        case MP_QSTR_dtype:
            found[0] = MP_OBJ_FROM_PTR(&array_dtypes[array->element]);
            break;
        case MP_QSTR_ndim:
            found[0] = MP_OBJ_NEW_SMALL_INT(array->dimensions);
            break;
        case MP_QSTR_size:
            found[0] = mp_obj_new_int(array_count(array));
            break;
        case MP_QSTR_itemsize:
            found[0] = MP_OBJ_NEW_SMALL_INT(element_size(array->element));
            break;
        case MP_QSTR_nbytes:
            found[0] = mp_obj_new_int(array_count(array) * element_size(array->element));
            break;
        case MP_QSTR_T:
            found[0] = array_transpose(self);
            break;
        default:
            found[1] = MP_OBJ_SENTINEL; /* a method */
    }
}

static void show(const mp_print_t *print, const array_t *array, const char *place, int depth, bool all) {
    if (depth == array->dimensions) {
        mp_obj_print_helper(print, array_item(array, place), PRINT_REPR);
        return;
    }
    mp_print_str(print, "[");
    for (mp_int_t i = 0; i < array->length[depth]; i++) {
        if (i > 0) {
            mp_print_str(print, depth + 1 < array->dimensions ? ",\n " : ", ");
        }
        if (!all && i == SHOWN_AT_THE_ENDS && array->length[depth] > 2 * SHOWN_AT_THE_ENDS) {
            mp_print_str(print, "..., ");
            i = array->length[depth] - SHOWN_AT_THE_ENDS;
        }
        show(print, array, place + i * array->stride[depth], depth + 1, all);
    }
    mp_print_str(print, "]");
}

void array_print(const mp_print_t *print, mp_obj_t self, mp_print_kind_t kind) {
    array_t *array = array_get(self);
    bool framed = kind == PRINT_REPR;
    mp_print_str(print, framed ? "array(" : "");
    show(print, array, array->data, 0, array_count(array) <= MOST_SHOWN);
    if (framed && array->element != F64 && array->element != I64 && array->element != BOOL) {
        mp_printf(print, ", dtype=%q", array_dtypes[array->element].name);
    }
    mp_print_str(print, framed ? ")" : "");
}

/* Iteration goes along the first axis, by subscripts. */
typedef struct {
    mp_obj_base_t base;
    mp_fun_1_t next;
    mp_obj_t array;
    mp_int_t at;
} iterator_t;

static mp_obj_t next(mp_obj_t self_in) {
    iterator_t *self = MP_OBJ_TO_PTR(self_in);
    if (self->at >= array_get(self->array)->length[0]) {
        return MP_OBJ_STOP_ITERATION;
    }
    return array_subscript(self->array, MP_OBJ_NEW_SMALL_INT(self->at++), MP_OBJ_SENTINEL);
}

static mp_obj_t iterate(mp_obj_t self, mp_obj_iter_buf_t *buffer) {
    _Static_assert(sizeof(iterator_t) <= sizeof(mp_obj_iter_buf_t), "it is put there");
    if (array_get(self)->dimensions == 0) {
        mp_raise_TypeError(MP_ERROR_TEXT("an array without dimensions has no rows"));
    }
    iterator_t *iterator = (iterator_t *)buffer;
    iterator->base.type = &mp_type_polymorph_iter;
    iterator->next = next;
    iterator->array = self;
    iterator->at = 0;
    return MP_OBJ_FROM_PTR(iterator);
}

MP_DEFINE_CONST_OBJ_TYPE(array_type, MP_QSTR_ndarray, MP_TYPE_FLAG_EQ_CHECKS_OTHER_TYPE | MP_TYPE_FLAG_EQ_HAS_NEQ_TEST,
    print, array_print, unary_op, array_unary, binary_op, array_binary, attr, attribute,
    subscr, array_subscript, iter, iterate, locals_dict, &methods);
