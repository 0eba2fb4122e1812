/* What TmeEngine is told of keys: each is made ready aside, and put in place in one step. Fault handlers of a heap's sandboxes
 * see what was before, or what is now. */
#include "python/face.h"
#include "tme/machine.h"

#include <stdlib.h>
#include <string.h>

/* What a KeyID does: (data key, tweak key, integrity), each key of 16 or 32 bytes, or none for plain text. */
static bool key_from(struct tme_key *key, PyObject *row) {
    Py_buffer data, tweak;
    int integrity;
    if (!PyTuple_Check(row)) {
        PyErr_SetString(PyExc_TypeError, "a key is a tuple");
        return false;
    }
    if (!PyArg_ParseTuple(row, "y*y*p:a key", &data, &tweak, &integrity)) {
        return false;
    }
    bool good = data.len == tweak.len && (data.len == 0 || data.len == 16 || data.len == 32);
    memset(key, 0, sizeof *key);
    if (good && data.len != 0) {
        tmebox_tme_expand(key, 8 * (uint32_t)data.len, data.buf, tweak.buf);
        key->integrity = integrity;
    }
    PyBuffer_Release(&data);
    PyBuffer_Release(&tweak);
    if (!good) {
        PyErr_SetString(PyExc_ValueError, "keys have 16 or 32 bytes each, or none for plain text");
    }
    return good;
}

/* The keys of 2^key_bits KeyIDs, which may be of one object where they are the same. */
static struct tme_key *keys_from(PyObject *rows, unsigned int key_bits) {
    struct tme_key *keys = tmebox_tme_keys_new(key_bits);
    if (keys == NULL) {
        PyErr_NoMemory();
    }
    PyObject *last = NULL;
    for (Py_ssize_t i = 0; keys != NULL && i < (Py_ssize_t)1 << key_bits; i++) {
        PyObject *row = PyTuple_GET_ITEM(rows, i);
        if (row == last) {
            keys[i] = keys[i - 1];
        } else if (!key_from(&keys[i], row)) {
            free(keys);
            keys = NULL;
        }
        last = row;
    }
    return keys;
}

PyObject *tmebox_tme_configure(struct tme_machine *machine, PyObject *args) {
    unsigned int address_bits, key_bits, first_private;
    unsigned long long base, mask;
    int excluding;
    PyObject *rows;
    Py_buffer mac_key;
    if (!PyArg_ParseTuple(args, "IIIKKpO!y*:_configure", &address_bits, &key_bits, &first_private, &base, &mask, &excluding,
                          &PyTuple_Type, &rows, &mac_key)) {
        return NULL;
    }
    uint64_t fresh[2];
    bool good = mac_key.len == sizeof fresh && address_bits <= 52 && key_bits <= TME_MOST_KEY_BITS &&
                key_bits + 12 <= address_bits && PyTuple_GET_SIZE(rows) == (Py_ssize_t)1 << key_bits;
    if (good) {
        memcpy(fresh, mac_key.buf, sizeof fresh);
    }
    PyBuffer_Release(&mac_key);
    if (!good) {
        PyErr_SetString(PyExc_ValueError, "a layout of addresses that cannot be, or a MAC key without 16 bytes");
        return NULL;
    }
    struct tme_key *keys = keys_from(rows, key_bits);
    if (keys == NULL) {
        return NULL;
    }
    tmebox_tme_lock(machine);
    keys = tmebox_tme_layout(machine, address_bits, key_bits, first_private, keys);
    memcpy(machine->mac_key, fresh, sizeof fresh);
    machine->exclude_base = base, machine->exclude_mask = mask, machine->excluding = excluding;
    tmebox_tme_unlock(machine);
    free(keys);
    Py_RETURN_NONE;
}

PyObject *tmebox_tme_set_key(struct tme_machine *machine, PyObject *args) {
    unsigned int key_id;
    PyObject *row;
    struct tme_key fresh;
    if (!PyArg_ParseTuple(args, "IO:_set_key", &key_id, &row) || !key_from(&fresh, row)) {
        return NULL;
    }
    tmebox_tme_lock(machine);
    bool there = key_id <= machine->last_key;
    if (there) {
        machine->keys[key_id] = fresh;
    }
    tmebox_tme_unlock(machine);
    explicit_bzero(&fresh, sizeof fresh);
    if (!there) {
        PyErr_SetString(PyExc_ValueError, "no such KeyID");
        return NULL;
    }
    Py_RETURN_NONE;
}
