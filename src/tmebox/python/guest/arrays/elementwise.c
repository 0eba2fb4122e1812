/* Operators, element by element. */
#include <math.h>
#include <string.h>
#include "array.h"
#include "ufunc.h"

/* The type that holds both, as NumPy has it. */
int promote(int one, int other) {
    static const uint8_t bits[ELEMENTS] = {1, 8, 8, 16, 16, 32, 32, 64, 64, 32, 64};
    if (one == other || other == BOOL) {
        return one;
    }
    if (one == BOOL) {
        return other;
    }
    if (is_float(one) || is_float(other)) {
        int whole = is_float(one) ? other : one;
        return one == F64 || other == F64 || (!is_float(whole) && bits[whole] > 16) ? F64 : F32;
    }
    bool one_signed = one == I8 || one == I16 || one == I32 || one == I64;
    bool other_signed = other == I8 || other == I16 || other == I32 || other == I64;
    if (one_signed == other_signed) {
        return bits[one] > bits[other] ? one : other;
    }
    int with_sign = one_signed ? one : other, without = one_signed ? other : one;
    if (bits[with_sign] > bits[without]) {
        return with_sign;
    }
    return without == U8 ? I16 : without == U16 ? I32 : without == U32 ? I64 : F64;
}

static int64_t int_power(int64_t base, int64_t exponent) {
    uint64_t result = 1, factor = base;
    if (exponent < 0) {
        mp_raise_ValueError(MP_ERROR_TEXT("integers to negative powers are not integers"));
    }
    for (; exponent; exponent >>= 1, factor *= factor) {
        result *= exponent & 1 ? factor : 1;
    }
    return result;
}

static inline int64_t int_floor(int64_t a, int64_t b) {
    if (b == 0) {
        return 0;
    }
    if (b == -1) {
        return -(uint64_t)a;
    }
    return a / b - ((a % b != 0) & ((a < 0) != (b < 0)));
}

static inline double float_mod(double a, double b) {
    double rest = fmod(a, b);
    return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

#define EACH(expression) \
    for (size_t i = 0; i < count; i++) { \
        out[i] = expression; \
    } \
    break;

static void floats(int operation, size_t count, const double *a, const double *b, double *out) {
    switch (operation) {
        case ADD: EACH(a[i] + b[i])
        case SUBTRACT: EACH(a[i] - b[i])
        case MULTIPLY: EACH(a[i] * b[i])
        case DIVIDE: EACH(a[i] / b[i])
        case FLOOR_DIVIDE: EACH(floor(a[i] / b[i]))
        case MODULO: EACH(float_mod(a[i], b[i]))
        case POWER: EACH(b[i] == 2 ? a[i] * a[i] : pow(a[i], b[i]))
        case MINIMUM: EACH(a[i] < b[i] || a[i] != a[i] ? a[i] : b[i])
        case MAXIMUM: EACH(a[i] > b[i] || a[i] != a[i] ? a[i] : b[i])
        case ARCTAN2: EACH(atan2(a[i], b[i]))
        case HYPOT: EACH(hypot(a[i], b[i]))
        default: mp_raise_TypeError(MP_ERROR_TEXT("arrays of floats have no such operation"));
    }
}

static void ints(int operation, size_t count, const int64_t *a, const int64_t *b, int64_t *out) {
    switch (operation) {
        case ADD: EACH((uint64_t)a[i] + b[i])
        case SUBTRACT: EACH((uint64_t)a[i] - b[i])
        case MULTIPLY: EACH((uint64_t)a[i] * b[i])
        case FLOOR_DIVIDE: EACH(int_floor(a[i], b[i]))
        case MODULO: EACH(b[i] == 0 ? 0 : (uint64_t)a[i] - (uint64_t)b[i] * int_floor(a[i], b[i]))
        case POWER: EACH(int_power(a[i], b[i]))
        case MINIMUM: EACH(a[i] < b[i] ? a[i] : b[i])
        case MAXIMUM: EACH(a[i] > b[i] ? a[i] : b[i])
        case AND: EACH(a[i] & b[i])
        case OR: EACH(a[i] | b[i])
        case XOR: EACH(a[i] ^ b[i])
        case SHIFT_LEFT: EACH((uint64_t)b[i] > 63 ? 0 : (uint64_t)a[i] << b[i])
        case SHIFT_RIGHT: EACH((uint64_t)b[i] > 63 ? a[i] >> 63 : a[i] >> b[i])
        default: mp_raise_TypeError(MP_ERROR_TEXT("arrays of integers have no such operation"));
    }
}

#define COMPARISONS(type) \
    static void compare_##type(int operation, size_t count, const type *a, const type *b, uint8_t *out) { \
        switch (operation) { \
            case LESS: EACH(a[i] < b[i]) \
            case LESS_EQUAL: EACH(a[i] <= b[i]) \
            case GREATER: EACH(a[i] > b[i]) \
            case GREATER_EQUAL: EACH(a[i] >= b[i]) \
            case EQUAL: EACH(a[i] == b[i]) \
            default: EACH(a[i] != b[i]) \
        } \
    }
COMPARISONS(double)
COMPARISONS(int64_t)

struct context {
    int operation;
    bool by_floats;
    int element[3]; /* out, left, right */
};

union room {
    double floats[LANES];
    int64_t ints[LANES];
};

static void binary_step(void *context_in, size_t count, char *const *data, const mp_int_t *stride) {
    const struct context *context = context_in;
    union room left, right, result;
    const int *element = context->element;
    if (context->by_floats) {
        const double *a = load_floats(data[1], stride[1], element[1], count, left.floats);
        const double *b = load_floats(data[2], stride[2], element[2], count, right.floats);
        if (context->operation >= LESS) {
            compare_double(context->operation, count, a, b, (uint8_t *)data[0]);
        } else {
            bool in_place = element[0] == F64;
            double *out = in_place ? (double *)data[0] : result.floats;
            floats(context->operation, count, a, b, out);
            if (!in_place) {
                store_floats(data[0], stride[0], element[0], count, out);
            }
        }
        return;
    }
    const int64_t *a = load_ints(data[1], stride[1], element[1], count, left.ints);
    const int64_t *b = load_ints(data[2], stride[2], element[2], count, right.ints);
    if (context->operation >= LESS) {
        compare_int64_t(context->operation, count, a, b, (uint8_t *)data[0]);
    } else {
        ints(context->operation, count, a, b, result.ints);
        store_ints(data[0], stride[0], element[0], count, result.ints);
    }
}

/* A number beside an array takes the array's type, unless it is of a larger kind. */
static int common_type(mp_obj_t left_in, mp_obj_t right_in, const array_t *left, const array_t *right) {
    bool left_is = tmebox_is_array(left_in), right_is = tmebox_is_array(right_in);
    if (left_is == right_is || left->dimensions + right->dimensions == 0) {
        return promote(left->element, right->element);
    }
    int array = left_is ? left->element : right->element, number = left_is ? right->element : left->element;
    if (number == BOOL || (is_float(array) && !left_is) || is_float(array)) {
        return array;
    }
    return number == F64 ? F64 : array == BOOL ? I64 : array;
}

array_t *array_apply(int operation, mp_obj_t left_in, mp_obj_t right_in) {
    array_t *both[2] = {array_of(left_in), array_of(right_in)};
    mp_int_t length[MOST];
    int dimensions = broadcast(length, 2, both);
    int common = common_type(left_in, right_in, both[0], both[1]), element = common;
    if (operation >= LESS) {
        element = BOOL;
    } else if (operation == DIVIDE || operation == ARCTAN2 || operation == HYPOT) {
        common = element = is_float(common) ? common : F64;
    } else if (common == BOOL && operation != AND && operation != OR && operation != XOR && operation < MINIMUM) {
        common = element = operation == ADD || operation == MULTIPLY ? BOOL : I64;
    }
    array_t *result = array_new(element, dimensions, length);
    struct context context = {operation, is_float(common), {element, both[0]->element, both[1]->element}};
    struct walk walk;
    walk_begin(&walk, dimensions, length);
    walk_add(&walk, result);
    walk_add(&walk, both[0]);
    walk_add(&walk, both[1]);
    walk_go(&walk, binary_step, &context);
    return result;
}

mp_obj_t array_binary(mp_binary_op_t operation, mp_obj_t left, mp_obj_t right) {
    static const uint8_t known[] = {
        [MP_BINARY_OP_LESS] = LESS + 1, [MP_BINARY_OP_MORE] = GREATER + 1, [MP_BINARY_OP_EQUAL] = EQUAL + 1,
        [MP_BINARY_OP_LESS_EQUAL] = LESS_EQUAL + 1, [MP_BINARY_OP_MORE_EQUAL] = GREATER_EQUAL + 1,
        [MP_BINARY_OP_NOT_EQUAL] = NOT_EQUAL + 1,
        [MP_BINARY_OP_OR] = OR + 1, [MP_BINARY_OP_XOR] = XOR + 1, [MP_BINARY_OP_AND] = AND + 1,
        [MP_BINARY_OP_LSHIFT] = SHIFT_LEFT + 1, [MP_BINARY_OP_RSHIFT] = SHIFT_RIGHT + 1,
        [MP_BINARY_OP_ADD] = ADD + 1, [MP_BINARY_OP_SUBTRACT] = SUBTRACT + 1,
        [MP_BINARY_OP_MULTIPLY] = MULTIPLY + 1, [MP_BINARY_OP_TRUE_DIVIDE] = DIVIDE + 1,
        [MP_BINARY_OP_FLOOR_DIVIDE] = FLOOR_DIVIDE + 1, [MP_BINARY_OP_MODULO] = MODULO + 1,
        [MP_BINARY_OP_POWER] = POWER + 1,
    };
    bool in_place = operation >= MP_BINARY_OP_INPLACE_OR && operation <= MP_BINARY_OP_INPLACE_POWER;
    bool reversed = operation >= MP_BINARY_OP_REVERSE_OR && operation <= MP_BINARY_OP_REVERSE_POWER;
    if (in_place) {
        operation += MP_BINARY_OP_OR - MP_BINARY_OP_INPLACE_OR;
    } else if (reversed) {
        operation -= MP_BINARY_OP_REVERSE_OR - MP_BINARY_OP_OR;
        mp_obj_t other = left;
        left = right;
        right = other;
    }
    if (operation == MP_BINARY_OP_MAT_MULTIPLY) {
        return array_dot(left, right);
    }
    if (operation == MP_BINARY_OP_CONTAINS) {
        array_t *equal = array_apply(EQUAL, left, right);
        return mp_obj_new_bool(memchr(equal->data, 1, array_count(equal)) != NULL);
    }
    bool is_number = mp_obj_is_int(right) || mp_obj_is_float(right) || mp_obj_is_bool(right);
    bool is_list = mp_obj_is_type(right, &mp_type_list) || mp_obj_is_type(right, &mp_type_tuple);
    if (operation >= MP_ARRAY_SIZE(known) || !known[operation] ||
        !(is_number || is_list || tmebox_is_array(right) || reversed)) {
        return MP_OBJ_NULL;
    }
    array_t *result = array_apply(known[operation] - 1, left, right);
    if (in_place && tmebox_is_array(left)) {
        array_t *target = array_get(left);
        if (is_float(result->element) && !is_float(target->element)) {
            mp_raise_TypeError(MP_ERROR_TEXT("floats do not fit into an array of integers in place"));
        }
        array_assign(target, result);
        return left;
    }
    return array_scalar(result);
}
