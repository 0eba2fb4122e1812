/* Elements of any type to one of the two that are calculated with, and back. */
#include "array.h"

#define LOAD(type, to) \
    for (size_t i = 0; i < count; i++) { \
        room[i] = (to)*(const type *)(data + (mp_int_t)i * stride); \
    } \
    return room;

#define LOADS(to) \
    switch (element) { \
        case BOOL: for (size_t i = 0; i < count; i++) { \
            room[i] = *(const uint8_t *)(data + (mp_int_t)i * stride) != 0; } return room; \
        case I8: LOAD(int8_t, to) \
        case U8: LOAD(uint8_t, to) \
        case I16: LOAD(int16_t, to) \
        case U16: LOAD(uint16_t, to) \
        case I32: LOAD(int32_t, to) \
        case U32: LOAD(uint32_t, to) \
        case I64: LOAD(int64_t, to) \
        case U64: LOAD(uint64_t, to) \
        case F32: LOAD(float, to) \
        default: LOAD(double, to) \
    }

/* Where the elements are floats in a row they are used where they are. */
const double *load_floats(const char *data, mp_int_t stride, int element, size_t count, double *room) {
    if (element == F64 && stride == sizeof(double)) {
        return (const double *)data;
    }
    LOADS(double)
}

const int64_t *load_ints(const char *data, mp_int_t stride, int element, size_t count, int64_t *room) {
    if (element == I64 && stride == sizeof(int64_t)) {
        return (const int64_t *)data;
    }
    LOADS(int64_t)
}

#define STORE(type) \
    for (size_t i = 0; i < count; i++) { \
        *(type *)(data + (mp_int_t)i * stride) = (type)values[i]; \
    } \
    return;

#define STORES(by_way_of) \
    switch (element) { \
        case BOOL: for (size_t i = 0; i < count; i++) { \
            *(uint8_t *)(data + (mp_int_t)i * stride) = values[i] != 0; } return; \
        case I8: STORE_(int8_t, by_way_of) \
        case U8: STORE_(uint8_t, by_way_of) \
        case I16: STORE_(int16_t, by_way_of) \
        case U16: STORE_(uint16_t, by_way_of) \
        case I32: STORE_(int32_t, by_way_of) \
        case U32: STORE_(uint32_t, by_way_of) \
        case I64: STORE_(int64_t, by_way_of) \
        case U64: STORE_(uint64_t, by_way_of) \
        case F32: STORE(float) \
        default: STORE(double) \
    }
#define STORE_(type, by_way_of) \
    for (size_t i = 0; i < count; i++) { \
        *(type *)(data + (mp_int_t)i * stride) = (type)by_way_of(values[i]); \
    } \
    return;

/* Numbers that no integer is, and those beyond the largest, become the smallest, as the processor has it. */
static inline int64_t whole(double value) {
    return value >= -9223372036854775808.0 && value < 9223372036854775808.0 ? (int64_t)value : INT64_MIN;
}

#define AS_IT_IS(value) (value)

void store_floats(char *data, mp_int_t stride, int element, size_t count, const double *values) {
    STORES(whole)
}

void store_ints(char *data, mp_int_t stride, int element, size_t count, const int64_t *values) {
    STORES(AS_IT_IS)
}
