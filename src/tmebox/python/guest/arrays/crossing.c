/* Arrays that come from the host and go there. Those in memory of the host's are shared, others are copied. */
#include <string.h>
#include "array.h"

void tmebox_encode_array(vstr_t *out, mp_obj_t value) {
    array_t *array = array_get(value);
    unsigned char kind[2] = {array->element, array->dimensions};
    if (array->memory == NULL) {
        tmebox_begin(out, WIRE_ARRAY, array->known_by);
        vstr_add_strn(out, (const char *)&array->generation, sizeof array->generation);
        vstr_add_strn(out, (const char *)kind, 2);
        uint32_t first = (uintptr_t)array->data;
        vstr_add_strn(out, (const char *)&first, sizeof first);
        for (int d = 0; d < array->dimensions; d++) {
            int64_t numbers[2] = {array->length[d], array->stride[d]};
            vstr_add_strn(out, (const char *)numbers, sizeof numbers);
        }
        return;
    }
    array = array_contiguous(array);
    size_t size = array_count(array) * element_size(array->element);
    vstr_hint_size(out, size + 64);
    vstr_add_byte(out, WIRE_DATA);
    vstr_add_strn(out, (const char *)kind, 2);
    tmebox_put_size(out, size);
    for (int d = 0; d < array->dimensions; d++) {
        int64_t length = array->length[d];
        vstr_add_strn(out, (const char *)&length, sizeof length);
    }
    vstr_add_strn(out, array->data, size);
}

mp_obj_t tmebox_decode_array(unsigned first, unsigned known_by, uint64_t generation, int element, int dimensions,
    const int64_t *numbers) {
    array_t *array = mp_obj_malloc(array_t, &array_type);
    array->data = (char *)(uintptr_t)first;
    array->memory = NULL;
    array->known_by = known_by;
    array->generation = generation;
    array->element = element;
    array->dimensions = dimensions;
    for (int d = 0; d < dimensions; d++) {
        array->length[d] = numbers[2 * d];
        array->stride[d] = numbers[2 * d + 1];
    }
    return MP_OBJ_FROM_PTR(array);
}

mp_obj_t tmebox_decode_data(int element, int dimensions, const int64_t *lengths, const void *data, size_t size) {
    mp_int_t length[MOST];
    for (int d = 0; d < dimensions; d++) {
        length[d] = lengths[d];
    }
    array_t *array = array_new(element, dimensions, length);
    memcpy(array->data, data, size);
    return MP_OBJ_FROM_PTR(array);
}
