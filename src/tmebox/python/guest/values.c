/* Values that cross: encoded for the host, decoded from it. wire.py says how. */
#include <string.h>
#include "py/objint.h"
#include "py/objstr.h"
#include "py/objtype.h"
#include "py/cstack.h"
#include "port.h"

static void *more(vstr_t *out, size_t size) {
    if (out->len + size > out->alloc) {
        vstr_hint_size(out, size > out->len ? size : out->len); /* at least twice as much */
    }
    return vstr_add_len(out, size);
}

void tmebox_put_size(vstr_t *out, size_t size) {
    if (size > UINT32_MAX / 2) {
        mp_raise_msg(&mp_type_OverflowError, MP_ERROR_TEXT("a value is too large to cross"));
    }
    uint32_t word = size;
    memcpy(more(out, sizeof word), &word, sizeof word);
}

void tmebox_begin(vstr_t *out, int tag, size_t count) {
    *(char *)more(out, 1) = tag;
    tmebox_put_size(out, count);
}

static void put_bytes(vstr_t *out, int tag, const void *data, size_t size) {
    tmebox_begin(out, tag, size);
    memcpy(more(out, size), data, size);
}

void tmebox_put_text(vstr_t *out, const char *text, size_t size) {
    put_bytes(out, WIRE_STR, text, size);
}

static void put_big(vstr_t *out, mp_obj_t value) {
    bool negative = mp_obj_int_sign(value) < 0;
    if (negative) {
        value = mp_unary_op(MP_UNARY_OP_NEGATIVE, value);
    }
    size_t size = mpz_max_num_bits(&((mp_obj_int_t *)MP_OBJ_TO_PTR(value))->mpz) / 8 + 1;
    tmebox_begin(out, WIRE_BIG, size + 1);
    *(char *)more(out, 1) = negative;
    mp_obj_int_to_bytes_impl(value, false, size, more(out, size));
}

static void put_number(vstr_t *out, int tag, const void *word) {
    unsigned char *place = more(out, 9);
    *place = tag;
    memcpy(place + 1, word, 8);
}

static void encode(vstr_t *out, mp_obj_t value, int depth);

static void put_items(vstr_t *out, int tag, size_t count, const mp_obj_t *items, int depth) {
    tmebox_begin(out, tag, count);
    for (size_t i = 0; i < count; i++) {
        encode(out, items[i], depth);
    }
}

static void put_map(vstr_t *out, const mp_map_t *map, int depth) {
    tmebox_begin(out, WIRE_DICT, map->used);
    size_t left = map->used;
    for (size_t i = 0; i < map->alloc && left > 0; i++) {
        if (mp_map_slot_is_filled(map, i)) {
            encode(out, map->table[i].key, depth);
            encode(out, map->table[i].value, depth);
            left -= 1;
        }
    }
}

static void encode_object(vstr_t *out, mp_obj_t value, int depth) {
    size_t count;
    mp_obj_t *items;
    mp_buffer_info_t buffer;
    if (mp_obj_is_instance_type(mp_obj_get_type(value))) { /* of a class that is derived from one of these two */
        mp_obj_t base = mp_obj_cast_to_native_base(value, MP_OBJ_FROM_PTR(&mp_type_dict));
        base = base ? base : mp_obj_cast_to_native_base(value, MP_OBJ_FROM_PTR(&mp_type_list));
        value = base ? base : value;
    }
    if (mp_obj_is_dict_or_ordereddict(value)) {
        put_map(out, mp_obj_dict_get_map(value), depth);
    } else if (mp_obj_is_type(value, &mp_type_list)) {
        mp_obj_list_get(value, &count, &items);
        put_items(out, WIRE_LIST, count, items, depth);
    } else if (mp_obj_is_tuple_compatible(value)) {
        mp_obj_tuple_get(value, &count, &items);
        put_items(out, WIRE_TUPLE, count, items, depth);
    } else if (mp_obj_is_type(value, &mp_type_bytearray)) {
        mp_get_buffer_raise(value, &buffer, MP_BUFFER_READ);
        put_bytes(out, WIRE_BYTEARRAY, buffer.buf, buffer.len);
    } else if (mp_obj_is_type(value, &mp_type_memoryview)) {
        mp_get_buffer_raise(value, &buffer, MP_BUFFER_READ);
        put_bytes(out, WIRE_BYTES, buffer.buf, buffer.len);
    } else if (tmebox_is_array(value)) {
        tmebox_encode_array(out, value);
    } else {
        mp_raise_msg_varg(&mp_type_TypeError,
            MP_ERROR_TEXT("a '%s' cannot leave the sandbox: only None, bool, int, float, str, bytes, list, "
                "tuple, dict and arrays can"), mp_obj_get_type_str(value));
    }
}

static void encode(vstr_t *out, mp_obj_t value, int depth) {
    size_t size;
    if (depth >= WIRE_DEEPEST) {
        mp_raise_ValueError(MP_ERROR_TEXT("a value is nested too deeply to cross"));
    }
    if (value == mp_const_none) {
        *(char *)more(out, 1) = WIRE_NONE;
    } else if (value == mp_const_false || value == mp_const_true) {
        *(char *)more(out, 1) = value == mp_const_true ? WIRE_TRUE : WIRE_FALSE;
    } else if (mp_obj_is_small_int(value)) {
        int64_t number = MP_OBJ_SMALL_INT_VALUE(value);
        put_number(out, WIRE_INT, &number);
    } else if (mp_obj_is_exact_type(value, &mp_type_int)) {
        put_big(out, value);
    } else if (mp_obj_is_float(value)) {
        double number = mp_obj_float_get(value);
        put_number(out, WIRE_FLOAT, &number);
    } else if (mp_obj_is_str(value)) {
        const char *text = mp_obj_str_get_data(value, &size);
        tmebox_put_text(out, text, size);
    } else if (mp_obj_is_type(value, &mp_type_bytes)) {
        const char *data = mp_obj_str_get_data(value, &size);
        put_bytes(out, WIRE_BYTES, data, size);
    } else {
        encode_object(out, value, depth + 1);
    }
}

void tmebox_encode(vstr_t *out, mp_obj_t value) {
    encode(out, value, 0);
}

void tmebox_post(vstr_t *value) {
    tmebox_mailbox->result = (uintptr_t)value->buf;
    tmebox_mailbox->result_size = value->len;
}

/* -- from the host, whose values are well formed ---------------------------------------------------- */
struct reader {
    const unsigned char *at;
    const unsigned char *end;
};

static const unsigned char *take(struct reader *reader, size_t size) {
    if (size > (size_t)(reader->end - reader->at)) {
        mp_raise_ValueError(MP_ERROR_TEXT("a value from the host is cut short"));
    }
    reader->at += size;
    return reader->at - size;
}

static uint32_t take_size(struct reader *reader) {
    uint32_t size;
    memcpy(&size, take(reader, sizeof size), sizeof size);
    return size;
}

static mp_obj_t decode(struct reader *reader);

static mp_obj_t take_big(struct reader *reader) {
    size_t size = take_size(reader);
    const unsigned char *data = take(reader, size);
    mp_obj_t magnitude = mp_obj_int_from_bytes_impl(false, size - 1, data + 1);
    return data[0] ? mp_unary_op(MP_UNARY_OP_NEGATIVE, magnitude) : magnitude;
}

static mp_obj_t take_items(struct reader *reader) {
    size_t count = take_size(reader);
    mp_obj_t list = mp_obj_new_list(0, NULL);
    for (size_t i = 0; i < count; i++) {
        mp_obj_list_append(list, decode(reader));
    }
    return list;
}

static mp_obj_t take_array(struct reader *reader) {
    uint32_t known_by = take_size(reader);
    uint64_t generation;
    memcpy(&generation, take(reader, sizeof generation), sizeof generation);
    int element = *take(reader, 1), dimensions = *take(reader, 1);
    uint32_t first = take_size(reader);
    int64_t numbers[2 * WIRE_MOST_DIMENSIONS];
    memcpy(numbers, take(reader, dimensions * 16), dimensions * 16);
    return tmebox_decode_array(first, known_by, generation, element, dimensions, numbers);
}

static mp_obj_t take_data(struct reader *reader) {
    int element = *take(reader, 1), dimensions = *take(reader, 1);
    size_t size = take_size(reader);
    int64_t lengths[WIRE_MOST_DIMENSIONS];
    memcpy(lengths, take(reader, dimensions * 8), dimensions * 8);
    return tmebox_decode_data(element, dimensions, lengths, take(reader, size), size);
}

static mp_obj_t decode(struct reader *reader) {
    int64_t integer;
    double number;
    size_t size;
    switch (*take(reader, 1)) {
        case WIRE_NONE:
            return mp_const_none;
        case WIRE_FALSE:
            return mp_const_false;
        case WIRE_TRUE:
            return mp_const_true;
        case WIRE_INT:
            memcpy(&integer, take(reader, 8), 8);
            return mp_obj_new_int_from_ll(integer);
        case WIRE_BIG:
            return take_big(reader);
        case WIRE_FLOAT:
            memcpy(&number, take(reader, 8), 8);
            return mp_obj_new_float(number);
        case WIRE_STR:
            size = take_size(reader);
            return mp_obj_new_str((const char *)take(reader, size), size);
        case WIRE_BYTES:
            size = take_size(reader);
            return mp_obj_new_bytes(take(reader, size), size);
        case WIRE_BYTEARRAY:
            size = take_size(reader);
            return mp_obj_new_bytearray(size, take(reader, size));
        case WIRE_LIST:
            return take_items(reader);
        case WIRE_TUPLE: {
            mp_obj_t list = take_items(reader);
            mp_obj_t *items;
            mp_obj_list_get(list, &size, &items);
            return mp_obj_new_tuple(size, items);
        }
        case WIRE_DICT: {
            size = take_size(reader);
            mp_obj_t dict = mp_obj_new_dict(size);
            for (size_t i = 0; i < size; i++) {
                mp_obj_t key = decode(reader);
                mp_obj_dict_store(dict, key, decode(reader));
            }
            return dict;
        }
        case WIRE_ARRAY:
            return take_array(reader);
        case WIRE_DATA:
            return take_data(reader);
        default:
            mp_raise_ValueError(MP_ERROR_TEXT("a value from the host is of no known kind"));
    }
}

mp_obj_t tmebox_decode(const unsigned char *data, size_t size) {
    struct reader reader = {data, data + size};
    return decode(&reader);
}
