/* Sorting: by merging, so that equal elements stay in their order. What is no number comes last. */
#include <string.h>
#include "array.h"
#include "order.h"

static inline bool floats_before(double a, double b) {
    return a < b || (b != b && a == a);
}

static inline bool ints_before(int64_t a, int64_t b) {
    return a < b;
}

#define MERGE_SORT(type, before) \
    static int64_t *order_##type(const type *key, int64_t *from, int64_t *to, mp_int_t count) { \
        for (mp_int_t width = 1; width < count; width *= 2) { \
            charge(count); \
            for (mp_int_t low = 0; low < count; low += 2 * width) { \
                mp_int_t middle = MIN(low + width, count), high = MIN(low + 2 * width, count); \
                mp_int_t left = low, right = middle; \
                for (mp_int_t i = low; i < high; i++) { \
                    bool first = left < middle && (right >= high || !before(key[from[right]], key[from[left]])); \
                    to[i] = from[first ? left++ : right++]; \
                } \
            } \
            int64_t *other = from; \
            from = to; \
            to = other; \
        } \
        return from; \
    }
MERGE_SORT(double, floats_before)
MERGE_SORT(int64_t, ints_before)

/* Of an array with one dimension: which element comes first, second, … */
array_t *array_argsort(array_t *array) {
    if (array->dimensions != 1) {
        mp_raise_ValueError(MP_ERROR_TEXT("arrays of one dimension can be sorted"));
    }
    mp_int_t count = array->length[0];
    array_t *one = array_new(I64, 1, &count), *two = array_new(I64, 1, &count);
    int64_t *from = (int64_t *)one->data, *found;
    for (mp_int_t i = 0; i < count; i++) {
        from[i] = i;
    }
    if (is_float(array->element)) {
        found = order_double((double *)array_as(array, F64)->data, from, (int64_t *)two->data, count);
    } else {
        found = order_int64_t((int64_t *)array_as(array, I64)->data, from, (int64_t *)two->data, count);
    }
    return found == from ? one : two;
}
