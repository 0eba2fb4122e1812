/* What TmeEngine shows of a machine, as Python values: counters, events, the cache, which KeyIDs a line verifies under; and
 * its lines in numbers, past the cache. */
#include "python/face.h"
#include "tme/machine.h"

#include <string.h>

PyObject *tmebox_tme_show_counts(const struct tme_machine *machine) {
    PyObject *list = PyList_New(TME_EVENTS);
    for (int kind = 0; list != NULL && kind < TME_EVENTS; kind++) {
        PyObject *count = PyLong_FromUnsignedLongLong(machine->counters[kind]);
        if (count == NULL) {
            Py_CLEAR(list);
        } else {
            PyList_SET_ITEM(list, kind, count);
        }
    }
    return list;
}

/* Appends and lets go of `item`; false with an exception set. */
static bool append(PyObject *list, PyObject *item) {
    bool done = item != NULL && PyList_Append(list, item) == 0;
    Py_XDECREF(item);
    return done;
}

PyObject *tmebox_tme_show_verifying(struct tme_machine *machine, uint64_t line) {
    PyObject *list = PyList_New(0);
    for (uint32_t key_id = 0; list != NULL && key_id <= machine->last_key; key_id++) {
        tmebox_tme_lock(machine);
        bool verifies = key_id <= machine->last_key && tmebox_tme_verifies(machine, key_id, line);
        tmebox_tme_unlock(machine);
        if (verifies && !append(list, PyLong_FromUnsignedLong(key_id))) {
            Py_CLEAR(list);
        }
    }
    return list;
}

PyObject *tmebox_tme_show_events(const struct tme_machine *machine) {
    PyObject *list = PyList_New(0);
    uint64_t kept = machine->number < machine->room ? machine->number : machine->room;
    for (uint64_t i = 0; list != NULL && i < kept; i++) {
        const struct tme_event *event = &machine->events[(machine->number - kept + i) & (machine->room - 1)];
        if (!append(list, Py_BuildValue("KIKI", (unsigned long long)event->number, event->kind,
                                        (unsigned long long)event->address, event->key_id))) {
            Py_CLEAR(list);
        }
    }
    return list;
}

PyObject *tmebox_tme_show_cache(const struct tme_machine *machine) {
    PyObject *list = PyList_New(0);
    for (size_t place = 0; list != NULL && place < machine->cache.sets * machine->cache.ways; place++) {
        uint32_t key_id;
        uint64_t line;
        if (tmebox_tme_cache_holds(&machine->cache, place, &key_id, &line) &&
            !append(list, Py_BuildValue("nIKBy#", (Py_ssize_t)place, key_id, (unsigned long long)(line * TME_LINE),
                                        machine->cache.flags[place], machine->cache.data + place * TME_LINE,
                                        (Py_ssize_t)TME_LINE))) {
            Py_CLEAR(list);
        }
    }
    return list;
}

PyObject *tmebox_tme_show_drawn(struct tme_machine *machine, PyObject *number) {
    unsigned long key_id = PyLong_AsUnsignedLong(number);
    if (key_id == (unsigned long)-1 && PyErr_Occurred()) {
        return NULL;
    }
    struct tme_key key = {.drawn = false};
    tmebox_tme_lock(machine);
    if (key_id <= machine->last_key) {
        key = machine->keys[key_id];
    }
    tmebox_tme_unlock(machine);
    Py_ssize_t size = key.rounds == 14 ? 32 : 16; /* the first round keys are the key */
    PyObject *shown = key.drawn ? Py_BuildValue("y#y#", (const char *)key.data, size, (const char *)key.tweak, size)
                                : Py_NewRef(Py_None);
    explicit_bzero(&key, sizeof key);
    return shown;
}

/* Whether there are such lines under such a KeyID; if not, ValueError is set. */
static bool lines_are_there(const struct tme_machine *machine, unsigned int key_id, unsigned long long line,
                            size_t count) {
    bool there = key_id <= machine->last_key && count <= TME_PAGE_LINES && line <= machine->lines &&
                 count <= machine->lines - line;
    if (!there) {
        PyErr_SetString(PyExc_ValueError, "at most 64 lines, of this machine, under a KeyID of it");
    }
    return there;
}

PyObject *tmebox_tme_show_lines(struct tme_machine *machine, PyObject *args) {
    unsigned int key_id, count;
    unsigned long long line;
    uint8_t plain[TME_LINE * TME_PAGE_LINES];
    if (!PyArg_ParseTuple(args, "IKI:_load_uncached", &key_id, &line, &count) ||
        !lines_are_there(machine, key_id, line, count)) {
        return NULL;
    }
    tmebox_tme_lock(machine);
    uint64_t wrong = tmebox_tme_load_lines(machine, key_id, line, count, plain);
    tmebox_tme_unlock(machine);
    return Py_BuildValue("y#K", (char *)plain, (Py_ssize_t)(TME_LINE * (size_t)count), (unsigned long long)wrong);
}

PyObject *tmebox_tme_take_lines(struct tme_machine *machine, PyObject *args) {
    unsigned int key_id;
    unsigned long long line;
    Py_buffer data;
    uint8_t plain[TME_LINE * TME_PAGE_LINES];
    if (!PyArg_ParseTuple(args, "IKy*:_store_uncached", &key_id, &line, &data)) {
        return NULL;
    }
    size_t count = (size_t)data.len / TME_LINE;
    bool good = lines_are_there(machine, key_id, line, count);
    if (good && data.len % TME_LINE != 0) {
        PyErr_SetString(PyExc_ValueError, "whole lines of 64 bytes");
        good = false;
    }
    if (good) {
        memcpy(plain, data.buf, TME_LINE * count); /* what is stored may be DRAM itself */
        tmebox_tme_lock(machine);
        tmebox_tme_store_lines(machine, key_id, line, count, plain);
        tmebox_tme_unlock(machine);
    }
    PyBuffer_Release(&data);
    return good ? Py_NewRef(Py_None) : NULL;
}
