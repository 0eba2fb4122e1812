/* Instance: what the core knows of one sandbox. */
#include "enter/control.h"
#include "enter/fibers.h"
#include "python/face.h"
#include "enter/datapath.h"
#include "python/heap.h"
#include "threads/signals.h"

#include <errno.h>
#include <string.h>

#define WINDOW_MASK (TMEBOX_WINDOW_SIZE - 1)

/* Without __init__ it has no window, and is nothing that could be called or written. */
static PyObject *instance_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    struct instance *self = (struct instance *)PyType_GenericNew(type, args, keywords);
    if (self != NULL) {
        self->dead = self->closed = true;
    }
    return (PyObject *)self;
}

static int instance_init(PyObject *object, PyObject *args, PyObject *keywords) {
    static char *names[] = {"base",        "stack_low",      "stack_top", "make_trap",
                            "base_in_r15", "checks_returns", "timeout_s", "has_control", "thread_room", NULL};
    struct instance *self = (struct instance *)object;
    unsigned long long base, stack_low, stack_top;
    PyObject *make_trap;
    int base_in_r15 = 0, checks_returns = 1, has_control = 0;
    unsigned long long thread_room = 0;
    double seconds = 0;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "KKKO|ppdpK:Instance", names, &base, &stack_low,
                                     &stack_top, &make_trap, &base_in_r15, &checks_returns, &seconds, &has_control, &thread_room) ||
        tmebox_timeout_from(seconds, &self->timeout_ns) < 0) {
        return -1;
    }
    if (self->base != 0) {
        PyErr_SetString(PyExc_RuntimeError, "an instance is initialised once");
        return -1;
    }
    if (base == 0 || (base & WINDOW_MASK) != 0 || base >= 1ULL << 56) {
        PyErr_SetString(PyExc_ValueError, "a window starts at a multiple of its size");
        return -1;
    }
    bool above = stack_low >= base + TMEBOX_SHARED_START && stack_top <= base + TMEBOX_SHARED_END;
    if (stack_low < base || stack_low >= stack_top || (stack_top - base > TMEBOX_PRIVATE_END && !above) ||
        stack_top % 16 != 0) {
        PyErr_SetString(PyExc_ValueError,
                        "the stack lies in the window's private part or above its arena, and ends 16-byte aligned");
        return -1;
    }
    if (!PyCallable_Check(make_trap)) {
        PyErr_SetString(PyExc_TypeError, "make_trap must be callable");
        return -1;
    }
    uint64_t window_base;
    struct window *window = tmebox_find_window(base, &window_base);
    self->window = window != NULL && window_base == base ? window : NULL;
    self->generation = tmebox_generation;
    self->base = base;
    self->dead = self->closed = false;
    self->stack_low = stack_low;
    self->stack_top = self->entry = stack_top;
    self->r15 = base_in_r15 ? base : 0;
    self->has_control = has_control;
    self->serial = tmebox_control_owner();
    self->fiber_room = thread_room;
    self->return_gate = GATE_RETURN(base_in_r15 && checks_returns ? GATE_RETURN_R15_OFFSET
                                                                  : GATE_RETURN_UNCHECKED_OFFSET);
    if (self->imports == NULL) {
        self->system_import = NO_IMPORT;
    }
    Py_INCREF(make_trap);
    Py_XSETREF(self->make_trap, make_trap);
    return 0;
}

static int instance_clear(PyObject *object);

/* The room is ours until kill() or pause(), which are refused while a call runs. */
static PyObject *instance_lend_text_room(PyObject *object, PyObject *room) {
    struct instance *self = (struct instance *)object;
    uint64_t start, end;
    if (!tmebox_extent_of(room, &start, &end)) {
        return NULL;
    }
    if (start < TMEBOX_ARENA_START || end > TMEBOX_ARENA_END || start % TEXT_ALIGN != 0) {
        PyErr_SetString(PyExc_ValueError, "room for texts is aligned, and in the arena");
        return NULL;
    }
    if (!self->dead && self->text_room == NULL) {
        self->text_room = Py_NewRef(room);
        self->text_offset = (uint32_t)start;
        self->text_size = (uint32_t)(end - start);
        self->text_used = 0;
    }
    Py_RETURN_NONE;
}

static void give_text_room_back(struct instance *self) {
    self->text_size = 0;
    Py_CLEAR(self->text_room);
}

static PyObject *instance_kill(PyObject *object, PyObject *unused) {
    (void)unused;
    struct instance *self = (struct instance *)object;
    if (self->depth != 0) {
        return tmebox_raise_busy();
    }
    self->dead = self->closed = true;
    self->paused = false;
    give_text_room_back(self);
    tmebox_end_fibers(self);
    tmebox_leave_control(self);
    tmebox_instance_detach(self);
    instance_clear(object); /* nobody needs the handlers, which refer to much else */
    Py_RETURN_NONE;
}

static PyObject *instance_pause(PyObject *object, PyObject *unused) {
    (void)unused;
    struct instance *self = (struct instance *)object;
    if (self->depth != 0) {
        return tmebox_raise_busy();
    }
    bool was_alive = !self->dead;
    self->paused |= was_alive;
    self->dead = true;
    give_text_room_back(self);
    return PyBool_FromLong(was_alive);
}

/* Whether the window may be made anew; else an exception is set. */
static bool can_begin_again(const struct instance *self) {
    if (self->depth != 0) {
        tmebox_raise_busy();
        return false;
    }
    if (self->closed || self->generation != tmebox_generation) {
        tmebox_raise_closed(self);
        return false;
    }
    return true;
}

static PyObject *instance_revive(PyObject *object, PyObject *unused) {
    (void)unused;
    struct instance *self = (struct instance *)object;
    if (!can_begin_again(self)) {
        return NULL;
    }
    self->dead = self->paused = false;
    Py_RETURN_NONE;
}

/* Nobody calls into a window that is half made: it has no threads yet either, if it begins with some. */
static PyObject *instance_reset(PyObject *object, PyObject *argument) {
    struct instance *self = (struct instance *)object;
    unsigned long keep = PyLong_AsUnsignedLong(argument);
    if (PyErr_Occurred() || !can_begin_again(self)) {
        return NULL;
    }
    if (self->window == NULL || self->window->template == NULL) {
        PyErr_SetString(PyExc_ValueError, "the window has no first contents");
        return NULL;
    }
    if (tmebox_ensure_handlers() < 0) {
        return NULL;
    }
    self->dead = true;
    tmebox_look_for_merging();
    if (!tmebox_restore(self->window, self->base, keep > UINT32_MAX ? UINT32_MAX : (uint32_t)keep) ||
        !tmebox_unmerge(self->window, self->base)) {
        errno = ENOMEM;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    if (!tmebox_put_random(self->window, self->base)) {
        return NULL;
    }
    tmebox_begin_stacks_again(self);
    Py_RETURN_NONE;
}

static PyObject *instance_condemn(PyObject *object, PyObject *unused) {
    (void)unused;
    struct instance *self = (struct instance *)object;
    self->dead = true;
    self->paused = false;
    Py_RETURN_NONE;
}

static PyObject *instance_doom(PyObject *object, PyObject *unused) {
    (void)unused;
    struct instance *self = (struct instance *)object;
    self->dead = self->closed = true;
    self->paused = false;
    return PyBool_FromLong(self->depth != 0);
}

/* What it had goes back at the end of the call, not whenever the collector comes by. */
PyObject *tmebox_end_doomed(struct instance *self, PyObject *result) {
    if (self->depth != 0 || self->make_trap == NULL) { /* killed: it has ended */
        return result;
    }
    PyObject *type, *value, *traceback, *tenancy = Py_NewRef(self->make_trap);
    PyErr_Fetch(&type, &value, &traceback);
    PyObject *ended = PyObject_CallMethod(tenancy, "abandon", NULL);
    if (ended == NULL) {
        PyErr_WriteUnraisable(tenancy);
    }
    Py_XDECREF(ended);
    Py_DECREF(tenancy);
    PyErr_Restore(type, value, traceback);
    return result;
}

static PyObject *instance_write(PyObject *object, PyObject *args) {
    struct instance *self = (struct instance *)object;
    Py_ssize_t offset;
    Py_buffer data;
    if (!PyArg_ParseTuple(args, "ny*:write", &offset, &data)) {
        return NULL;
    }
    /* After the buffer was taken, which can run Python code: so that whose window it is is known last. */
    bool written = false;
    if ((uint64_t)offset > TMEBOX_WINDOW_SIZE || (uint64_t)data.len > TMEBOX_WINDOW_SIZE - (uint64_t)offset) {
        PyErr_SetString(PyExc_ValueError, "not all in the window");
    } else {
        written = tmebox_may_write(self) && tmebox_write_buffer(self->base + (uint64_t)offset, &data);
    }
    PyBuffer_Release(&data);
    if (!written) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *instance_discard(PyObject *object, PyObject *args) {
    struct instance *self = (struct instance *)object;
    unsigned long long offset, size;
    if (!PyArg_ParseTuple(args, "KK:discard", &offset, &size)) {
        return NULL;
    }
    const struct window *window = self->window;
    bool upper = window != NULL && offset >= window->upper_start && offset < window->upper_end &&
                 size <= window->upper_end - offset;
    bool private = offset < TMEBOX_PRIVATE_END && size <= TMEBOX_PRIVATE_END - offset;
    if (offset % TMEBOX_PAGE_SIZE != 0 || size % TMEBOX_PAGE_SIZE != 0 || !(upper || private)) {
        PyErr_SetString(PyExc_ValueError, "not whole pages of the private part, nor of the heap above it");
        return NULL;
    }
    if (!tmebox_may_write(self)) {
        return NULL;
    }
    if (self->window != NULL && self->window->template != NULL) {
        if (!tmebox_zero(self->window, self->base, offset, size)) {
            return NULL;
        }
    } else {
        tmebox_discard(self->base, offset, offset + size);
    }
    Py_RETURN_NONE;
}

/* For calls that bring none of their own. One that runs already goes on without. */
static PyObject *instance_lend_descriptors(PyObject *object, PyObject *descriptors) {
    struct instance *self = (struct instance *)object;
    if (!Py_IS_TYPE(descriptors, &tmebox_guest_descriptors_type)) {
        PyErr_SetString(PyExc_TypeError, "lend_descriptors(GuestDescriptors)");
        return NULL;
    }
    if (self->descriptors == NULL && !self->closed) {
        self->descriptors = (struct guest_descriptors *)Py_NewRef(descriptors);
    }
    Py_RETURN_NONE;
}

static PyObject *instance_state(PyObject *object, void *unused) {
    (void)unused;
    struct instance *self = (struct instance *)object;
    return PyLong_FromLong(self->dead ? DEAD : self->depth != 0 ? RUNNING : IDLE);
}

static PyObject *instance_has_text_room(PyObject *object, void *unused) {
    (void)unused;
    return PyBool_FromLong(((struct instance *)object)->text_room != NULL);
}

static PyObject *instance_get_timeout(PyObject *object, void *unused) {
    (void)unused;
    return PyFloat_FromDouble((double)((struct instance *)object)->timeout_ns / 1e9);
}

static int instance_set_timeout(PyObject *object, PyObject *value, void *unused) {
    (void)unused;
    if (value == NULL) {
        PyErr_SetString(PyExc_AttributeError, "timeout_s cannot be deleted");
        return -1;
    }
    double seconds = PyFloat_AsDouble(value);
    if (seconds == -1.0 && PyErr_Occurred()) {
        return -1;
    }
    return tmebox_timeout_from(seconds, &((struct instance *)object)->timeout_ns);
}

static int instance_traverse(PyObject *object, visitproc visit, void *arg) {
    struct instance *self = (struct instance *)object;
    Py_VISIT(self->make_trap);
    for (uint32_t i = 0; i < self->import_count; i++) {
        Py_VISIT(self->imports[i].handler);
        Py_VISIT(self->imports[i].convert);
        Py_VISIT(self->imports[i].read);
        Py_VISIT(self->imports[i].makers);
    }
    Py_VISIT(self->descriptors);
    Py_VISIT(self->handles);
    return tmebox_visit_callbacks(self, visit, arg);
}

static int instance_clear(PyObject *object) {
    struct instance *self = (struct instance *)object;
    struct import *imports = self->imports;
    uint32_t count = self->import_count;
    self->dead = self->closed = true; /* nothing may run without its handlers */
    self->imports = NULL;
    self->import_count = 0;
    self->system_import = NO_IMPORT;
    give_text_room_back(self);
    tmebox_instance_detach(self);
    tmebox_free_imports(imports, count);
    tmebox_free_callbacks(self);
    Py_CLEAR(self->handles);
    Py_CLEAR(self->make_trap);
    Py_CLEAR(self->descriptors);
    return 0;
}

static void instance_dealloc(PyObject *object) {
    struct instance *self = (struct instance *)object;
    PyObject_GC_UnTrack(object);
    if (self->weak != NULL) {
        PyObject_ClearWeakRefs(object);
    }
    tmebox_end_fibers(self);
    tmebox_leave_control(self); /* also of a call that was never ended */
    instance_clear(object);
    Py_TYPE(object)->tp_free(object);
}

static PyMethodDef instance_methods[] = {
    {"kill", instance_kill, METH_NOARGS, "kill()\n\nRefuse calls from now on."},
    {"pause", instance_pause, METH_NOARGS,
     "pause() -> bool\n\nRefuse calls, as of a busy instance, until revive(). Whether they were possible."},
    {"revive", instance_revive, METH_NOARGS, "revive()\n\nAllow calls again: its window was made anew, or looked at."},
    {"end_threads", tmebox_instance_end_threads, METH_NOARGS, "end_threads()\n\nIts stacks are zeros again, too."},
    {"threads", tmebox_instance_threads, METH_NOARGS,
     "threads() -> tuple\n\nOf each that stands, by number, (low, top, words), or None: its control stack."},
    {"begin_threads", tmebox_instance_begin_threads, METH_O,
     "begin_threads(threads)\n\nAs threads() gave them. ValueError for what no thread can leave there."},
    {"keep_words", tmebox_instance_keep_words, METH_O,
     "keep_words(words)\n\nWhat a call leaves as it was if an exception ends it: see the type stub."},
    {"reset", instance_reset, METH_O, "reset(keep)\n\nGive the window its first contents. Calls are refused until revive()."},
    {"condemn", instance_condemn, METH_NOARGS,
     "condemn()\n\nThe call that is running or the pause, if any, is the last one."},
    {"doom", instance_doom, METH_NOARGS,
     "doom() -> bool\n\ncondemn(), for ever. Whether a call runs, whose end will call abandon() of what makes traps."},
    {"lend_text_room", instance_lend_text_room, METH_O,
     "lend_text_room(extent)\n\nMapped memory of the arena, for texts that are arguments; until "
     "kill() or pause()."},
    {"write", instance_write, METH_VARARGS,
     "write(offset, data)\n\nRefused once it is closed, while a call runs on another thread, or is interrupted on this one."},
    {"discard", instance_discard, METH_VARARGS,
     "discard(offset, size_bytes)\n\nMake pages of the heap zero, and give their memory back; refused like write."},
    {"read_control", tmebox_instance_read_control, METH_VARARGS,
     "read_control(offset, size_bytes) -> bytes\n\nOf the control stack that is there, or that the last call had; as far as it goes."},
    {"set_imports", tmebox_set_imports, METH_O,
     "set_imports(rows)\n\n(handler, argument codes, result code) each."},
    {"begin_callbacks", tmebox_begin_callbacks, METH_O,
     "begin_callbacks(number)\n\nLower ones are of the sandbox whose memory this one begins with: whoever calls one gets an\n"
     "exception. They are given to others only when there are no more. ValueError if there are callbacks already."},
    {"add_callback", tmebox_add_callback, METH_VARARGS,
     "add_callback(row[, fallback]) -> int\n\nIts index, or -1 where there is no room. row: as of set_imports. fallback:\n"
     "(rax, xmm0, rdx, xmm1) where what it raises waits for the end of the call."},
    {"close_callback", tmebox_close_callback, METH_O,
     "close_callback(index)\n\nSandboxed code that calls it from now on gets an exception. Idempotent."},
    {"lend_handles", tmebox_lend_handles, METH_O,
     "lend_handles(dict)\n\nWhat the words that stand for objects of the host stand for. Once."},
    {"call", tmebox_instance_call, METH_VARARGS,
     "call(address, integers, vectors, stack, timeout_s[, descriptors]) -> (rax, rdx, xmm0, xmm1)"},
    {"lend_descriptors", instance_lend_descriptors, METH_O,
     "lend_descriptors(descriptors)\n\nFor calls from now on that bring none of their own. Once."},
    {"end_shared_blocks", tmebox_instance_end_blocks, METH_NOARGS,
     "end_shared_blocks()\n\nWhat its code made in the shared heap is freed. Refused like write."},
    {"read_shared", tmebox_instance_read_shared, METH_VARARGS,
     "read_shared(offset, size_bytes) -> bytes\n\nOf the shared heap; IndexError unless it may read all of it."},
    {"write_shared", tmebox_instance_write_shared, METH_VARARGS,
     "write_shared(offset, data)\n\nThe same for writing. Refused like write."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef instance_members[] = {
    {"base", T_ULONGLONG, offsetof(struct instance, base), READONLY, "The window's address."},
    {"depth", T_UINT, offsetof(struct instance, depth), READONLY, "Calls now running inside each other."},
    {"key_id", T_USHORT, offsetof(struct instance, key), READONLY, "Its key in its shared heap; 0: none."},
    {"closed", T_BOOL, offsetof(struct instance, closed), READONLY, "Killed or doomed."},
    {"paused", T_BOOL, offsetof(struct instance, paused), READONLY, "Between pause() and what ends it."},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef instance_properties[] = {
    {"has_text_room", instance_has_text_room, NULL, "Whether some was lent.", NULL},
    {"state", instance_state, NULL, "IDLE, RUNNING or DEAD.", NULL},
    {"timeout_s", instance_get_timeout, instance_set_timeout, "Time limit of a call in seconds; 0.0: none.",
     NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyTypeObject tmebox_instance_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "tmebox._native.Instance",
    .tp_doc = "Instance(base, stack_low, stack_top, make_trap, base_in_r15=False, checks_returns=True, "
              "timeout_s=0.0)"
              "\n\n"
              "What the core knows of one sandbox.",
    .tp_basicsize = sizeof(struct instance),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = instance_new,
    .tp_init = instance_init,
    .tp_dealloc = instance_dealloc,
    .tp_traverse = instance_traverse,
    .tp_clear = instance_clear,
    .tp_methods = instance_methods,
    .tp_members = instance_members,
    .tp_getset = instance_properties,
    .tp_weaklistoffset = offsetof(struct instance, weak),
};
