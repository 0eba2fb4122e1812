/* Structs by value: into the words that an argument takes, and out of those that a result has. */
#include "python/function.h"

#include <string.h>

static uint64_t *room_of(uint8_t place, uint8_t index, struct activation *activation, uint64_t *stack) {
    return (place == IN_INTEGER ? activation->integers : place == IN_VECTOR ? activation->vectors : stack) + index;
}

bool tmebox_put_struct(const struct parameter *parameter, PyObject *value, const struct instance *instance,
                       struct activation *activation, uint64_t *stack) {
    uint64_t words[LARGEST_STRUCT / 8];
    size_t size = 8 * (size_t)parameter->words;
    words[parameter->words - 1] = 0; /* what the struct has of it is written below */
    if (tmebox_struct_pack(parameter->layout, value, instance, (unsigned char *)words) < 0) {
        return false;
    }
    if (parameter->place == ON_STACK) {
        memcpy(stack + parameter->index, words, size);
        return true;
    }
    *room_of(parameter->place, parameter->index, activation, stack) = words[0];
    if (parameter->words == 2) {
        *room_of(parameter->second_place, parameter->second_index, activation, stack) = words[1];
    }
    return true;
}

bool tmebox_take_result(PyObject *layout, const struct instance *instance, const struct activation *activation,
                        uint64_t offset, unsigned char *to) {
    const char *passing = tmebox_struct_passing(layout).passing;
    const uint64_t integers[2] = {activation->rax, activation->rdx};
    uint64_t words[2] = {0, 0};
    int used_integers = 0, used_vectors = 0;
    if (*passing == 'm') {
        const void *from = (const void *)(instance->base + offset);
        return tmebox_window_copy(to, from, tmebox_struct_size(layout)).how == 0;
    }
    for (int i = 0; passing[i] != 0; i++) {
        words[i] = passing[i] == 'x' ? activation->vectors[used_vectors++] : integers[used_integers++];
    }
    memcpy(to, words, tmebox_struct_size(layout));
    return true;
}
