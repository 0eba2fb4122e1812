/* Sums, extremes and their like, of a whole array or along an axis; products of matrices. */
#include <math.h>
#include <string.h>
#include "array.h"
#include "reduce.h"

/* What is known after some of the elements. */
struct state {
    int reduction;
    int element;
    mp_int_t seen;
    double floats, mean; /* mean: what a variance is taken about */
    int64_t ints;
    mp_int_t where;
};

static double sum(const double *a, size_t count) {
    double part[8] = {0};
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        for (int k = 0; k < 8; k++) {
            part[k] += a[i + k];
        }
    }
    for (; i < count; i++) {
        part[i & 7] += a[i];
    }
    return ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7]));
}

static void floats(struct state *s, size_t count, const double *a) {
    switch (s->reduction) {
        case SUM:
        case MEAN:
            s->floats += sum(a, count);
            break;
        case VARIANCE: {
            double room[LANES];
            for (size_t i = 0; i < count; i++) {
                room[i] = (a[i] - s->mean) * (a[i] - s->mean);
            }
            s->floats += sum(room, count);
            break;
        }
        case PRODUCT:
            for (size_t i = 0; i < count; i++) {
                s->floats *= a[i];
            }
            break;
        case ANY:
        case ALL:
            for (size_t i = 0; i < count; i++) {
                s->ints = s->reduction == ANY ? s->ints | (a[i] != 0) : s->ints & (a[i] != 0);
            }
            break;
        default: /* MIN, MAX, ARGMIN, ARGMAX; what is no number comes first and stays */
            for (size_t i = 0; i < count; i++) {
                bool lower = s->reduction == MIN || s->reduction == ARGMIN;
                bool better = lower ? a[i] < s->floats : a[i] > s->floats;
                bool none = a[i] != a[i] && s->floats == s->floats;
                if (s->seen + (mp_int_t)i == 0 || none || (better && s->floats == s->floats)) {
                    s->floats = a[i];
                    s->where = s->seen + i;
                }
            }
    }
    s->seen += count;
}

static void ints(struct state *s, size_t count, const int64_t *a) {
    uint64_t total = s->ints;
    switch (s->reduction) {
        case SUM:
            for (size_t i = 0; i < count; i++) {
                total += a[i];
            }
            s->ints = total;
            break;
        case PRODUCT:
            for (size_t i = 0; i < count; i++) {
                total *= a[i];
            }
            s->ints = total;
            break;
        case ANY:
        case ALL:
            for (size_t i = 0; i < count; i++) {
                s->ints = s->reduction == ANY ? s->ints | (a[i] != 0) : s->ints & (a[i] != 0);
            }
            break;
        default:
            for (size_t i = 0; i < count; i++) {
                bool lower = s->reduction == MIN || s->reduction == ARGMIN;
                if (s->seen + (mp_int_t)i == 0 || (lower ? a[i] < s->ints : a[i] > s->ints)) {
                    s->ints = a[i];
                    s->where = s->seen + i;
                }
            }
    }
    s->seen += count;
}

static bool by_floats(const struct state *s) {
    return is_float(s->element) || s->reduction == MEAN || s->reduction == VARIANCE;
}

static void step(void *context, size_t count, char *const *data, const mp_int_t *stride) {
    struct state *s = context;
    union {
        double floats[LANES];
        int64_t ints[LANES];
    } room;
    if (by_floats(s)) {
        floats(s, count, load_floats(data[0], stride[0], s->element, count, room.floats));
    } else {
        ints(s, count, load_ints(data[0], stride[0], s->element, count, room.ints));
    }
}

static void go(struct state *s, const array_t *array) {
    struct walk walk;
    walk_begin(&walk, array->dimensions, array->length);
    walk_add(&walk, array);
    walk_go(&walk, step, s);
}

static struct state reduce(int reduction, const array_t *array) {
    struct state s = {.reduction = reduction, .element = array->element};
    mp_int_t count = array_count(array);
    if (count == 0 && (reduction >= MIN)) {
        mp_raise_ValueError(MP_ERROR_TEXT("an empty array has no such element"));
    }
    s.floats = reduction == PRODUCT;
    s.ints = reduction == PRODUCT || reduction == ALL;
    if (reduction == VARIANCE) {
        struct state first = reduce(MEAN, array);
        s.mean = first.floats;
    }
    go(&s, array);
    if (reduction == MEAN || reduction == VARIANCE) {
        s.floats = count ? s.floats / count : NAN;
    }
    return s;
}

static int result_element(int reduction, int element) {
    switch (reduction) {
        case MEAN:
        case VARIANCE:
            return is_float(element) ? element : F64;
        case ANY:
        case ALL:
            return BOOL;
        case ARGMIN:
        case ARGMAX:
            return I64;
        case SUM:
        case PRODUCT:
            return is_float(element) ? element : element == U8 || element == U16 || element == U32 || element == U64
                ? U64 : I64;
        default:
            return element;
    }
}

static void put(const array_t *result, char *place, const struct state *s) {
    if (s->reduction >= ARGMIN) {
        int64_t where = s->where;
        store_ints(place, 0, result->element, 1, &where);
    } else if (by_floats(s) && result->element != BOOL) {
        store_floats(place, 0, result->element, 1, &s->floats);
    } else {
        store_ints(place, 0, result->element, 1, &s->ints);
    }
}

mp_obj_t array_reduce(int reduction, array_t *array, mp_obj_t axis_in) {
    mp_int_t none[MOST];
    int element = result_element(reduction, array->element);
    if (axis_in == mp_const_none) {
        struct state s = reduce(reduction, array);
        array_t *result = array_new(element, 0, none);
        put(result, result->data, &s);
        return array_scalar(result);
    }
    mp_int_t axis = take_axis(axis_in, array);
    array_t row = *array, rest = *array; /* one row along the axis, and where rows begin */
    row.dimensions = 1;
    row.length[0] = array->length[axis];
    row.stride[0] = array->stride[axis];
    rest.dimensions -= 1;
    for (int d = axis; d < rest.dimensions; d++) {
        rest.length[d] = array->length[d + 1];
        rest.stride[d] = array->stride[d + 1];
    }
    array_t *result = array_new(element, rest.dimensions, rest.length);
    mp_int_t count = array_count(result), at[MOST] = {0};
    for (mp_int_t i = 0; i < count; i++) {
        row.data = array->data;
        for (int d = 0; d < rest.dimensions; d++) {
            row.data += at[d] * rest.stride[d];
        }
        struct state s = reduce(reduction, &row);
        put(result, result->data + i * element_size(element), &s);
        for (int d = rest.dimensions; d-- > 0 && ++at[d] == rest.length[d];) {
            at[d] = 0;
        }
    }
    return array_scalar(result);
}

mp_obj_t array_cumulate(array_t *array, bool product) {
    mp_int_t count = array_count(array);
    array_t *result = array_as(array, is_float(array->element) ? F64 : I64);
    result->dimensions = 1;
    result->length[0] = count;
    result->stride[0] = 8;
    charge(count);
    double *numbers = (double *)result->data;
    uint64_t *integers = (uint64_t *)result->data;
    for (mp_int_t i = 1; i < count; i++) {
        if (result->element == F64) {
            numbers[i] = product ? numbers[i] * numbers[i - 1] : numbers[i] + numbers[i - 1];
        } else {
            integers[i] = product ? integers[i] * integers[i - 1] : integers[i] + integers[i - 1];
        }
    }
    return MP_OBJ_FROM_PTR(result);
}

/* -- products of vectors and matrices, of which each is made floats or integers in rows --------------- */
#define MULTIPLY(type) \
    for (mp_int_t i = 0; i < rows; i++) { \
        for (mp_int_t k = 0; k < inner; k++) { \
            type factor = ((type *)left->data)[i * inner + k]; \
            const type *from = (type *)right->data + k * columns; \
            type *to = (type *)result->data + i * columns; \
            charge(columns); \
            for (mp_int_t j = 0; j < columns; j++) { \
                to[j] += factor * from[j]; \
            } \
        } \
    }

mp_obj_t array_dot(mp_obj_t left_in, mp_obj_t right_in) {
    array_t *left = array_of(left_in), *right = array_of(right_in);
    if (left->dimensions < 1 || right->dimensions < 1 || left->dimensions > 2 || right->dimensions > 2) {
        mp_raise_ValueError(MP_ERROR_TEXT("products are of vectors and matrices"));
    }
    int common = promote(left->element, right->element), element = is_float(common) ? F64 : I64;
    left = array_as(left, element);
    right = array_as(right, element);
    mp_int_t rows = left->dimensions == 2 ? left->length[0] : 1, inner = left->length[left->dimensions - 1];
    mp_int_t columns = right->dimensions == 2 ? right->length[1] : 1, length[2];
    if (right->length[0] != inner) {
        mp_raise_ValueError(MP_ERROR_TEXT("the shapes of the factors do not fit"));
    }
    int dimensions = 0;
    if (left->dimensions == 2) {
        length[dimensions++] = rows;
    }
    if (right->dimensions == 2) {
        length[dimensions++] = columns;
    }
    array_t *result = array_new(element, dimensions, length);
    if (element == F64) {
        MULTIPLY(double)
    } else {
        MULTIPLY(uint64_t)
    }
    return common == F32 ? array_scalar(array_as(result, F32)) : array_scalar(result);
}
