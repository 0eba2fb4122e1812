/* TME-MK's cryptography as functions on bytes: for known answers, for measuring, and for forging MACs by the million. */
#include "python/face.h"
#include "tme/tme.h"

#include <string.h>

static PyObject *tme_paths(PyObject *module, PyObject *unused) {
    (void)module, (void)unused;
    PyObject *list = PyList_New(0);
    const struct tme_path *path;
    for (size_t n = 0; list != NULL && (path = tmebox_tme_path_at(n)) != NULL; n++) {
        PyObject *row = Py_BuildValue("sO", path->name, path->usable() ? Py_True : Py_False);
        if (row == NULL || PyList_Append(list, row) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(row);
    }
    return list;
}

static const struct tme_path *path_named(const char *name) {
    const struct tme_path *path = name != NULL ? tmebox_tme_path(name) : tmebox_tme_best_path();
    if (path == NULL) {
        PyErr_Format(PyExc_ValueError, "path: this CPU has no %s", name);
    }
    return path;
}

/* Both keys of an algorithm and, if given, that of the MACs. */
static bool keys_from(struct tme_key *key, const Py_buffer *data, const Py_buffer *tweak, uint64_t mac_key[2],
                      const Py_buffer *mac) {
    if (data->len != tweak->len || (data->len != 16 && data->len != 32) || mac->len != 16) {
        PyErr_SetString(PyExc_ValueError, "the two keys have 16 or 32 bytes each, the MAC key 16");
        return false;
    }
    memset(key, 0, sizeof *key);
    tmebox_tme_expand(key, 8 * (uint32_t)data->len, data->buf, tweak->buf);
    key->integrity = true;
    memcpy(mac_key, mac->buf, 16);
    return true;
}

static PyObject *seal_or_open(PyObject *args, bool seal) {
    const char *name;
    Py_buffer data, tweak, mac, bytes, macs = {0};
    unsigned long long address;
    unsigned int td;
    int good = seal ? PyArg_ParseTuple(args, "zy*y*y*IKy*:tme_seal", &name, &data, &tweak, &mac, &td, &address, &bytes)
                    : PyArg_ParseTuple(args, "zy*y*y*IKy*y*:tme_open", &name, &data, &tweak, &mac, &td, &address, &bytes,
                                       &macs);
    if (!good) {
        return NULL;
    }
    struct tme_key key;
    uint64_t mac_key[2], wrong = 0;
    uint32_t side[TME_PAGE_LINES];
    PyObject *result = NULL, *out = NULL;
    const struct tme_path *path = path_named(name);
    size_t count = (size_t)bytes.len / TME_LINE;
    if (path == NULL || !keys_from(&key, &data, &tweak, mac_key, &mac)) {
        goto done;
    }
    if (bytes.len % TME_LINE != 0 || count > TME_PAGE_LINES || td > 1 || (!seal && (size_t)macs.len != 4 * count)) {
        PyErr_SetString(PyExc_ValueError, "at most 64 lines, td 0 or 1, four bytes of MAC for each line");
        goto done;
    }
    out = PyBytes_FromStringAndSize(NULL, bytes.len);
    if (out == NULL) {
        goto done;
    }
    uint8_t *to = (uint8_t *)PyBytes_AS_STRING(out);
    if (seal) {
        tmebox_tme_seal(path, &key, mac_key, td, address, count, bytes.buf, to, side);
        result = Py_BuildValue("Oy#", out, (char *)side, (Py_ssize_t)(4 * count));
    } else {
        memcpy(side, macs.buf, 4 * count);
        wrong = tmebox_tme_open(path, &key, mac_key, td, address, count, bytes.buf, side, (1U << TME_MAC_BITS) - 1, to);
        result = Py_BuildValue("OK", out, (unsigned long long)wrong);
    }
done:
    Py_XDECREF(out);
    PyBuffer_Release(&data);
    PyBuffer_Release(&tweak);
    PyBuffer_Release(&mac);
    PyBuffer_Release(&bytes);
    if (!seal) {
        PyBuffer_Release(&macs);
    }
    return result;
}

static PyObject *tme_seal(PyObject *module, PyObject *args) {
    (void)module;
    return seal_or_open(args, true);
}

static PyObject *tme_open(PyObject *module, PyObject *args) {
    (void)module;
    return seal_or_open(args, false);
}

static PyObject *tme_sha3(PyObject *module, PyObject *args) {
    (void)module;
    const char *name;
    Py_buffer bytes;
    uint8_t digest[32];
    if (!PyArg_ParseTuple(args, "zy*:tme_sha3", &name, &bytes)) {
        return NULL;
    }
    const struct tme_path *path = path_named(name);
    if (path != NULL) {
        tmebox_tme_sha3(path, bytes.buf, (size_t)bytes.len, digest);
    }
    PyBuffer_Release(&bytes);
    return path != NULL ? PyBytes_FromStringAndSize((char *)digest, sizeof digest) : NULL;
}

static PyObject *tme_forge(PyObject *module, PyObject *args) {
    (void)module;
    const char *name;
    unsigned int bits;
    unsigned long long trials, seed, accepted = 0;
    Py_buffer data, tweak, mac;
    if (!PyArg_ParseTuple(args, "zy*y*y*IKK:tme_forge", &name, &data, &tweak, &mac, &bits, &trials, &seed)) {
        return NULL;
    }
    struct tme_key key;
    uint64_t mac_key[2];
    const struct tme_path *path = path_named(name);
    bool good = path != NULL && keys_from(&key, &data, &tweak, mac_key, &mac);
    if (good) {
        Py_BEGIN_ALLOW_THREADS;
        accepted = tmebox_tme_forge(path, &key, mac_key, bits, trials, seed);
        Py_END_ALLOW_THREADS;
    }
    PyBuffer_Release(&data);
    PyBuffer_Release(&tweak);
    PyBuffer_Release(&mac);
    return good ? PyLong_FromUnsignedLongLong(accepted) : NULL;
}

/* Opens the same lines again and again; the caller looks at the clock. */
static PyObject *tme_repeat(PyObject *module, PyObject *args) {
    (void)module;
    const char *name;
    unsigned int lines, seal;
    unsigned long long times;
    if (!PyArg_ParseTuple(args, "zIIK:tme_repeat", &name, &lines, &seal, &times)) {
        return NULL;
    }
    const struct tme_path *path = path_named(name);
    if (path == NULL) {
        return NULL;
    }
    if (lines < 1 || lines > TME_PAGE_LINES) {
        PyErr_SetString(PyExc_ValueError, "1 to 64 lines");
        return NULL;
    }
    struct tme_key key = {.encrypted = false};
    uint8_t bytes[32] = {1}, cipher[TME_LINE * TME_PAGE_LINES] = {2}, plain[TME_LINE * TME_PAGE_LINES];
    uint32_t macs[TME_PAGE_LINES];
    uint64_t mac_key[2] = {3, 4}, wrong = 0;
    tmebox_tme_expand(&key, 128, bytes, bytes + 16);
    key.integrity = true;
    memset(plain, 5, sizeof plain);
    tmebox_tme_seal(path, &key, mac_key, 0, 0, lines, plain, cipher, macs);
    Py_BEGIN_ALLOW_THREADS;
    for (unsigned long long i = 0; i < times; i++) {
        if (seal) {
            tmebox_tme_seal(path, &key, mac_key, 0, 0, lines, plain, cipher, macs);
        } else {
            wrong |= tmebox_tme_open(path, &key, mac_key, 0, 0, lines, cipher, macs, (1U << TME_MAC_BITS) - 1, plain);
        }
    }
    Py_END_ALLOW_THREADS;
    return PyLong_FromUnsignedLongLong(wrong);
}

PyMethodDef tmebox_tme_methods[] = {
    {"tme_paths", tme_paths, METH_NOARGS, "tme_paths() -> [(name, usable), ...]\n\nThe fastest last."},
    {"tme_seal", tme_seal, METH_VARARGS, "tme_seal(path, data_key, tweak_key, mac_key, td, address, plain)"},
    {"tme_open", tme_open, METH_VARARGS, "tme_open(path, data_key, tweak_key, mac_key, td, address, cipher, macs)"},
    {"tme_sha3", tme_sha3, METH_VARARGS, "tme_sha3(path, data) -> bytes"},
    {"tme_forge", tme_forge, METH_VARARGS, "tme_forge(path, data_key, tweak_key, mac_key, mac_bits, trials, seed) -> int"},
    {"tme_repeat", tme_repeat, METH_VARARGS, "tme_repeat(path, lines, seal, times)\n\nFor measuring."},
    {NULL, NULL, 0, NULL},
};
