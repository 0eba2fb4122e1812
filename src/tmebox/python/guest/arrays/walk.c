/* Through arrays of one shape together, in stretches. */
#include <string.h>
#include "array.h"

int broadcast(mp_int_t *length, int count, array_t *const *arrays) {
    int dimensions = 0;
    for (int i = 0; i < count; i++) {
        dimensions = MAX(dimensions, arrays[i]->dimensions);
    }
    for (int d = 0; d < dimensions; d++) {
        length[d] = 1;
        for (int i = 0; i < count; i++) {
            int own = d - (dimensions - arrays[i]->dimensions);
            mp_int_t wanted = own < 0 ? 1 : arrays[i]->length[own];
            if (wanted != 1 && length[d] != 1 && wanted != length[d]) {
                mp_raise_ValueError(MP_ERROR_TEXT("operands could not be broadcast together"));
            }
            length[d] = wanted == 1 ? length[d] : wanted;
        }
    }
    return dimensions;
}

void walk_begin(struct walk *walk, int dimensions, const mp_int_t *length) {
    walk->operands = 0;
    walk->dimensions = dimensions;
    memcpy(walk->length, length, dimensions * sizeof *length);
}

void walk_add(struct walk *walk, const array_t *array) {
    int number = walk->operands++, missing = walk->dimensions - array->dimensions;
    walk->operand[number].data = array->data;
    walk->operand[number].element = array->element;
    for (int d = 0; d < walk->dimensions; d++) {
        bool repeated = d < missing || (array->length[d - missing] == 1 && walk->length[d] != 1);
        walk->operand[number].stride[d] = repeated ? 0 : array->stride[d - missing];
    }
}

void charge(size_t elements) {
    tmebox_instructions_left -= elements / ELEMENTS_AN_INSTRUCTION;
    if (tmebox_instructions_left < 0 || *tmebox_interrupted) {
        tmebox_stop_or_go_on();
    }
}

/* Two neighbouring dimensions become one where every operand goes on evenly from one row to the next. */
static void collapse(struct walk *walk) {
    while (walk->dimensions > 1) {
        int last = walk->dimensions - 1;
        for (int i = 0; i < walk->operands; i++) {
            if (walk->operand[i].stride[last - 1] != walk->operand[i].stride[last] * walk->length[last]) {
                return;
            }
        }
        walk->length[last - 1] *= walk->length[last];
        for (int i = 0; i < walk->operands; i++) {
            walk->operand[i].stride[last - 1] = walk->operand[i].stride[last];
        }
        walk->dimensions = last;
    }
}

void walk_go(struct walk *walk, step_t *step, void *context) {
    for (int d = 0; d < walk->dimensions; d++) {
        if (walk->length[d] == 0) {
            return;
        }
    }
    if (walk->dimensions == 0) { /* one element */
        walk->dimensions = 1;
        walk->length[0] = 1;
        for (int i = 0; i < walk->operands; i++) {
            walk->operand[i].stride[0] = 0;
        }
    }
    collapse(walk);
    int inner = walk->dimensions - 1;
    mp_int_t at[MOST] = {0}, strides[4];
    char *row[4], *data[4];
    for (int i = 0; i < walk->operands; i++) {
        row[i] = walk->operand[i].data;
        strides[i] = walk->operand[i].stride[inner];
    }
    for (;;) {
        for (mp_int_t done = 0; done < walk->length[inner]; done += LANES) {
            size_t count = MIN(LANES, walk->length[inner] - done);
            for (int i = 0; i < walk->operands; i++) {
                data[i] = row[i] + done * strides[i];
            }
            charge(count);
            step(context, count, data, strides);
        }
        int d = inner - 1;
        for (; d >= 0; d--) {
            at[d] += 1;
            for (int i = 0; i < walk->operands; i++) {
                row[i] += walk->operand[i].stride[d];
            }
            if (at[d] < walk->length[d]) {
                break;
            }
            for (int i = 0; i < walk->operands; i++) {
                row[i] -= walk->operand[i].stride[d] * walk->length[d];
            }
            at[d] = 0;
        }
        if (d < 0) {
            return;
        }
    }
}

static void assign_step(void *context, size_t count, char *const *data, const mp_int_t *strides) {
    const struct walk *walk = context;
    union {
        double floats[LANES];
        int64_t ints[LANES];
    } room;
    int to = walk->operand[0].element, from = walk->operand[1].element;
    if (is_float(from)) {
        store_floats(data[0], strides[0], to, count, load_floats(data[1], strides[1], from, count, room.floats));
    } else {
        store_ints(data[0], strides[0], to, count, load_ints(data[1], strides[1], from, count, room.ints));
    }
}

/* Elements of one array into another, of a shape that it can be broadcast to. They may overlap. */
void array_assign(array_t *to, array_t *from) {
    mp_int_t length[MOST];
    array_t *both[2] = {to, from};
    int dimensions = broadcast(length, 2, both);
    if (dimensions != to->dimensions || memcmp(length, to->length, dimensions * sizeof *length) != 0) {
        mp_raise_ValueError(MP_ERROR_TEXT("the value's shape does not fit"));
    }
    if (from->memory == to->memory && from->known_by == to->known_by && from->data != to->data) {
        from = array_as(from, from->element);
    }
    struct walk walk;
    walk_begin(&walk, dimensions, length);
    walk_add(&walk, to);
    walk_add(&walk, from);
    walk_go(&walk, assign_step, &walk);
}
