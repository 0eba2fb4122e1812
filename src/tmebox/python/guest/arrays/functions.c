/* Functions of one array, element by element. */
#include <math.h>
#include "array.h"
#include "ufunc.h"

struct context {
    int function;
    int from;
    int to;
};

#define EACH(expression) \
    for (size_t i = 0; i < count; i++) { \
        double x = a[i]; \
        out[i] = expression; \
    } \
    break;

static void floats(int function, size_t count, const double *a, double *out) {
    switch (function) {
        case NEGATIVE: EACH(-x)
        case ABSOLUTE: EACH(fabs(x))
        case SQUARE: EACH(x * x)
        case SIGN: EACH(x > 0 ? 1 : x < 0 ? -1 : x)
        case SQRT: EACH(sqrt(x))
        case EXP: EACH(exp(x))
        case LOG: EACH(log(x))
        case LOG2: EACH(log2(x))
        case LOG10: EACH(log10(x))
        case LOG1P: EACH(log1p(x))
        case EXPM1: EACH(expm1(x))
        case SIN: EACH(sin(x))
        case COS: EACH(cos(x))
        case TAN: EACH(tan(x))
        case ARCSIN: EACH(asin(x))
        case ARCCOS: EACH(acos(x))
        case ARCTAN: EACH(atan(x))
        case SINH: EACH(sinh(x))
        case COSH: EACH(cosh(x))
        case TANH: EACH(tanh(x))
        case FLOOR: EACH(floor(x))
        case CEIL: EACH(ceil(x))
        case TRUNC: EACH(trunc(x))
        case RINT: EACH(rint(x))
        case ISNAN: EACH(x != x)
        case ISFINITE: EACH(x - x == 0)
        case ISINF: EACH(x == x && x - x != 0)
        default: mp_raise_TypeError(MP_ERROR_TEXT("arrays of floats have no such operation"));
    }
}

static void ints(int function, size_t count, const int64_t *a, int64_t *out) {
    for (size_t i = 0; i < count; i++) {
        uint64_t x = a[i];
        bool negative = a[i] < 0;
        out[i] = function == NEGATIVE ? -x : function == ABSOLUTE ? (negative ? -x : x)
            : function == INVERT ? ~x : function == SQUARE ? x * x : negative ? -1 : x != 0;
    }
}

static void step(void *context_in, size_t count, char *const *data, const mp_int_t *stride) {
    const struct context *context = context_in;
    if (context->function >= SQRT || is_float(context->from)) {
        double room[LANES], result[LANES];
        floats(context->function, count, load_floats(data[1], stride[1], context->from, count, room), result);
        store_floats(data[0], stride[0], context->to, count, result);
    } else {
        int64_t room[LANES];
        ints(context->function, count, load_ints(data[1], stride[1], context->from, count, room), room);
        if (context->to == BOOL) { /* of a boolean, `not` */
            for (size_t i = 0; i < count; i++) {
                room[i] = room[i] == -1;
            }
        }
        store_ints(data[0], stride[0], context->to, count, room);
    }
}

array_t *array_map(int function, mp_obj_t value) {
    array_t *array = array_of(value);
    int element = array->element;
    if (function >= ISNAN) {
        element = BOOL;
    } else if (function >= SQRT && function < FLOOR) {
        element = is_float(element) ? element : F64;
    } else if (function >= FLOOR && !is_float(element)) {
        return array_as(array, element);
    } else if (element == BOOL && function != INVERT) {
        element = I64;
    }
    array_t *result = array_new(element, array->dimensions, array->length);
    struct context context = {function, array->element, element};
    struct walk walk;
    walk_begin(&walk, array->dimensions, array->length);
    walk_add(&walk, result);
    walk_add(&walk, array);
    walk_go(&walk, step, &context);
    return result;
}

mp_obj_t array_unary(mp_unary_op_t operation, mp_obj_t value) {
    array_t *array = array_get(value);
    switch (operation) {
        case MP_UNARY_OP_NEGATIVE:
            return array_scalar(array_map(NEGATIVE, value));
        case MP_UNARY_OP_INVERT:
            return array_scalar(array_map(INVERT, value));
        case MP_UNARY_OP_ABS:
            return array_scalar(array_map(ABSOLUTE, value));
        case MP_UNARY_OP_POSITIVE:
            return MP_OBJ_FROM_PTR(array_as(array, array->element));
        case MP_UNARY_OP_LEN:
            if (array->dimensions == 0) {
                mp_raise_TypeError(MP_ERROR_TEXT("len() of an array without dimensions"));
            }
            return MP_OBJ_NEW_SMALL_INT(array->length[0]);
        case MP_UNARY_OP_BOOL:
        case MP_UNARY_OP_FLOAT_MAYBE:
        case MP_UNARY_OP_INT_MAYBE:
            if (array_count(array) != 1) {
                if (operation != MP_UNARY_OP_BOOL) {
                    return MP_OBJ_NULL;
                }
                mp_raise_ValueError(MP_ERROR_TEXT("whether an array is true is not clear: use any() or all()"));
            }
            value = array_item(array, array->data);
            if (operation == MP_UNARY_OP_BOOL) {
                return mp_obj_new_bool(mp_obj_is_true(value));
            }
            return operation == MP_UNARY_OP_FLOAT_MAYBE ? mp_obj_new_float(mp_obj_get_float(value)) : value;
        default:
            return MP_OBJ_NULL;
    }
}
