/* What Python does with windows: hand one to an owner, let it grow, take it back. Windows are named by their
 * base address. Everything here runs with the GIL held. */
#include "windows/window.h"

#include <errno.h>
#include <sys/mman.h>

/* Data of at most so many pages is there from the start, so that small sandboxes never fault. */
#define EAGER_PAGES 16

static struct window *window_at(unsigned long long address) {
    uint64_t base = 0;
    struct window *window = tmebox_find_window(address, &base);
    if (window == NULL || base != address) {
        PyErr_SetString(PyExc_ValueError, "not the address of a window");
        return NULL;
    }
    return window;
}

static struct window *owned_window_at(unsigned long long address) {
    struct window *window = window_at(address);
    if (window != NULL && window->template == NULL) {
        PyErr_SetString(PyExc_ValueError, "the window has no owner");
        return NULL;
    }
    return window;
}

static PyObject *out_of_memory(void) {
    errno = ENOMEM;
    return PyErr_SetFromErrno(PyExc_OSError);
}

static bool populate(struct window *window, uint64_t base, uint64_t offset, uint64_t size,
                     enum toucher toucher) {
    if (tmebox_populate(window, base, offset, size, toucher)) {
        return true;
    }
    out_of_memory();
    return false;
}

/* The first data of a window that is new. */
static bool populate_data(struct window *window, uint64_t base, const struct template *template) {
    uint32_t pages = template->pages <= EAGER_PAGES ? template->pages : 0;
    for (uint32_t i = 0; i < pages; i++) {
        uint64_t offset = TMEBOX_IMAGE_START + (uint64_t)i * PAGE;
        uint32_t page = (uint32_t)(offset / PAGE);
        if (tmebox_first_contents(template, page) != NULL && !tmebox_is_shared(window, page) &&
            !populate(window, base, offset, PAGE, HOST_READS)) {
            return false;
        }
    }
    return true;
}

static PyObject *window_start(PyObject *module, PyObject *args) {
    (void)module;
    unsigned long long base;
    struct template *template;
    if (!PyArg_ParseTuple(args, "KO!:window_start", &base, &tmebox_template_type, &template)) {
        return NULL;
    }
    struct window *window = window_at(base);
    if (window == NULL) {
        return NULL;
    }
    tmebox_look_for_merging();
    bool fresh = window->template != template;
    if (fresh) {
        struct span above = tmebox_upper_part(template);
        if (!tmebox_empty(window, base) || (above.end != 0 && !tmebox_hole_filled(window))) {
            return out_of_memory();
        }
        window->arena_end = window->arena_most = TMEBOX_ARENA_FIRST_END;
        window->upper_start = above.start;
        window->upper_end = above.end;
        window->upper_stack = tmebox_has_upper_stack(template);
        window->read_only_end = template->read_only_end;
        window->template = (struct template *)Py_NewRef(template);
        if (!tmebox_share(window, base)) {
            return out_of_memory();
        }
    }
    if (!tmebox_unmerge(window, base)) {
        return out_of_memory();
    }
    if (fresh && !populate_data(window, base, template)) {
        return NULL;
    }
    if (!tmebox_put_random(window, base)) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *window_recycle(PyObject *module, PyObject *args) {
    (void)module;
    unsigned long long base;
    unsigned int keep;
    struct window *window;
    if (!PyArg_ParseTuple(args, "KI:window_recycle", &base, &keep) || (window = window_at(base)) == NULL) {
        return NULL;
    }
    int64_t kept = tmebox_recycle(window, base, keep);
    return kept < 0 ? out_of_memory() : PyLong_FromLongLong(kept);
}

static PyObject *window_empty(PyObject *module, PyObject *argument) {
    (void)module;
    unsigned long long base = PyLong_AsUnsignedLongLong(argument);
    struct window *window = PyErr_Occurred() ? NULL : window_at(base);
    if (window == NULL) {
        return NULL;
    }
    if (!tmebox_empty(window, base)) {
        return out_of_memory();
    }
    Py_RETURN_NONE;
}

static bool can_grow(const struct window *window, unsigned long long end) {
    bool free = window->upper_start == 0 || end <= window->upper_start;
    if (end % PAGE != 0 || end < TMEBOX_ARENA_FIRST_END || end > TMEBOX_ARENA_END || !free) {
        PyErr_SetString(PyExc_ValueError, "an arena grows, by pages, up to its end");
        return false;
    }
    return true;
}

static uint64_t arena_end_of(const struct window *window) {
    return window->arena_end > TMEBOX_ARENA_FIRST_END ? window->arena_end : TMEBOX_ARENA_FIRST_END;
}

/* Before anything of it is there. */
static void may_reach(struct window *window, uint64_t end) {
    window->arena_most = end > window->arena_most ? (uint32_t)end : window->arena_most;
}

static PyObject *window_arena_end(PyObject *module, PyObject *argument) {
    (void)module;
    unsigned long long base = PyLong_AsUnsignedLongLong(argument);
    struct window *window = PyErr_Occurred() ? NULL : window_at(base);
    return window == NULL ? NULL : PyLong_FromUnsignedLongLong(arena_end_of(window));
}

/* For windows whose parts are mapped one by one. */
static PyObject *window_map_arena(PyObject *module, PyObject *args) {
    (void)module;
    unsigned long long base, end;
    struct window *window;
    if (!PyArg_ParseTuple(args, "KK:window_map_arena", &base, &end) || (window = window_at(base)) == NULL ||
        !can_grow(window, end)) {
        return NULL;
    }
    uint64_t start = arena_end_of(window);
    if (end > start) {
        may_reach(window, end);
        if (tmebox_map_zero((void *)(base + start), end - start, PROT_READ | PROT_WRITE) < 0) {
            return PyErr_SetFromErrno(PyExc_OSError);
        }
        window->arena_end = (uint32_t)end;
    }
    Py_RETURN_NONE;
}

static PyObject *window_unmap_arena(PyObject *module, PyObject *argument) {
    (void)module;
    unsigned long long base = PyLong_AsUnsignedLongLong(argument);
    struct window *window = PyErr_Occurred() ? NULL : window_at(base);
    if (window == NULL) {
        return NULL;
    }
    may_reach(window, TMEBOX_ARENA_FIRST_END);
    uint64_t size = window->arena_most - TMEBOX_ARENA_START;
    if (window->view != NULL) {
        tmebox_view_ended(window); /* has no mapping here */
    }
    if (tmebox_map_zero((void *)(base + TMEBOX_ARENA_START), size, PROT_NONE) < 0) {
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    window->arena_end = window->arena_most = 0;
    uint64_t upper_size = window->upper_end - window->upper_start;
    if (upper_size != 0 &&
        tmebox_map_zero((void *)(base + window->upper_start), upper_size, PROT_NONE) < 0) {
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    window->upper_start = window->upper_end = 0;
    window->upper_stack = false;
    Py_RETURN_NONE;
}

/* What of heap and stack is above the arena, of windows whose parts are mapped one by one. */
static PyObject *window_set_upper(PyObject *module, PyObject *args) {
    (void)module;
    unsigned long long base, start, end;
    int has_stack;
    struct window *window;
    if (!PyArg_ParseTuple(args, "KKKp:window_set_upper", &base, &start, &end, &has_stack) ||
        (window = window_at(base)) == NULL) {
        return NULL;
    }
    if (!tmebox_is_upper(start, end) || (has_stack && start < TMEBOX_SHARED_START)) {
        PyErr_SetString(PyExc_ValueError, "not where a heap has its second part, or a stack lies");
        return NULL;
    }
    window->upper_start = (uint32_t)start;
    window->upper_end = (uint32_t)end;
    window->upper_stack = has_stack;
    Py_RETURN_NONE;
}

static PyObject *window_grow_arena(PyObject *module, PyObject *args) {
    (void)module;
    unsigned long long base, end;
    struct window *window;
    if (!PyArg_ParseTuple(args, "KK:window_grow_arena", &base, &end) ||
        (window = owned_window_at(base)) == NULL) {
        return NULL;
    }
    uint64_t start = window->arena_end;
    if (!can_grow(window, end)) {
        return NULL;
    }
    if (end <= start) { /* somebody else has grown it meanwhile */
        Py_RETURN_NONE;
    }
    may_reach(window, end);
    window->arena_end = (uint32_t)end;
    if (!populate(window, base, start, end - start, HOST_WRITES)) {
        window->arena_end = (uint32_t)start;
        tmebox_discard(base, start, end);
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *window_populate(PyObject *module, PyObject *args) {
    (void)module;
    unsigned long long base, offset, size;
    int writable;
    struct window *window;
    if (!PyArg_ParseTuple(args, "KKKp:window_populate", &base, &offset, &size, &writable) ||
        (window = owned_window_at(base)) == NULL) {
        return NULL;
    }
    if (!populate(window, base, offset, size, writable ? HOST_WRITES : HOST_READS)) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* Pages with first contents, and those whose presence is kept bit by bit, are written: missing, they would
 * come back as what they were at first, or not be known to be missing. */
bool tmebox_zero(struct window *window, uint64_t base, uint64_t offset, uint64_t size) {
    const struct template *template = window->template;
    bool lower = offset >= template->heap_start && offset <= template->heap_end && size <= template->heap_end - offset;
    bool upper =
        offset >= template->upper_start && offset <= template->upper_end && size <= template->upper_end - offset;
    if (!lower && !upper) {
        PyErr_SetString(PyExc_ValueError, "not pages of the heap");
        return false;
    }
    uint64_t end = offset + size, rest = offset,
             known_end = TMEBOX_IMAGE_START + (uint64_t)template->pages * PAGE;
    known_end = known_end > HOT_START + HOT_SIZE ? known_end : HOT_START + HOT_SIZE;
    if (offset < known_end) {
        rest = end < known_end ? end : known_end;
        if (!populate(window, base, offset, rest - offset, HOST_WRITES)) {
            return false;
        }
        if (!tmebox_window_clear(base + offset, rest - offset)) {
            out_of_memory();
            return false;
        }
    }
    if (!tmebox_discard_but_pinned(window, base, rest, end)) {
        out_of_memory();
        return false;
    }
    return true;
}

static bool populate_pinned(struct window *window, uint64_t base) {
    for (const struct pin *pin = window->pins; pin != NULL; pin = pin->next) {
        uint64_t start = (uint64_t)pin->start * PAGE, size = (uint64_t)(pin->end - pin->start) * PAGE;
        if (!populate(window, base, start, size, HOST_READS)) {
            return false;
        }
    }
    return true;
}

/* For views that outlive their sandbox: the same memory, all zero. Other threads may be looking on: there is
 * always a template, and what is present stays marked. */
static PyObject *window_blank(PyObject *module, PyObject *args) {
    (void)module;
    unsigned long long base;
    struct template *blank;
    struct window *window;
    if (!PyArg_ParseTuple(args, "KO!:window_blank", &base, &tmebox_template_type, &blank) ||
        (window = owned_window_at(base)) == NULL) {
        return NULL;
    }
    uint64_t arena_size = window->arena_end - TMEBOX_ARENA_START;
    bool all_blank = tmebox_blank_shared(window, base);
    struct template *before = atomic_exchange(&window->template, (struct template *)Py_NewRef(blank));
    tmebox_discard(base, tmebox_private_low(before), tmebox_private_end(before));
    struct span above = tmebox_upper_part(before);
    tmebox_discard(base, above.start, above.end);
    tmebox_discard(base, TMEBOX_ARENA_START, window->arena_most);
    Py_DECREF(before);
    if (!populate(window, base, TMEBOX_ARENA_START, arena_size, HOST_READS) ||
        !populate_pinned(window, base)) {
        return NULL;
    }
    if (!all_blank) {
        return out_of_memory(); /* views still show what is read-only */
    }
    Py_RETURN_NONE;
}

static PyObject *window_pages(PyObject *module, PyObject *argument) {
    (void)module;
    unsigned long long base = PyLong_AsUnsignedLongLong(argument);
    struct window *window = PyErr_Occurred() ? NULL : window_at(base);
    return window == NULL ? NULL : PyLong_FromUnsignedLong(tmebox_pages_present(window, base));
}

struct counted {
    unsigned long long windows, pages;
};

static bool count_pages(struct window *window, uint64_t base, void *context) {
    struct counted *counted = context;
    counted->windows++;
    counted->pages += tmebox_pages_present(window, base);
    return true;
}

static PyObject *resident_pages(PyObject *module, PyObject *unused) {
    (void)module, (void)unused;
    struct counted counted = {0, 0};
    tmebox_each_window(count_pages, &counted);
    return Py_BuildValue("KK", counted.windows, counted.pages);
}

static PyObject *window_allow_mappings(PyObject *module, PyObject *argument) {
    (void)module;
    unsigned long most = PyLong_AsUnsignedLong(argument);
    if (PyErr_Occurred()) {
        return NULL;
    }
    tmebox_allow_mappings(most > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uint32_t)most);
    Py_RETURN_NONE;
}

PyMethodDef tmebox_window_methods[] = {
    {"window_start", window_start, METH_VARARGS, "window_start(base, template)\n\nThe caller keeps both."},
    {"window_recycle", window_recycle, METH_VARARGS,
     "window_recycle(base, keep) -> pages\n\nAs at its start; how many pages are present."},
    {"window_empty", window_empty, METH_O, "window_empty(base)\n\nNothing may be touched any more."},
    {"window_grow_arena", window_grow_arena, METH_VARARGS, "window_grow_arena(base, end)"},
    {"window_arena_end", window_arena_end, METH_O, "window_arena_end(base) -> offset"},
    {"window_map_arena", window_map_arena, METH_VARARGS, "window_map_arena(base, end)"},
    {"window_set_upper", window_set_upper, METH_VARARGS, "window_set_upper(base, start, end, has_stack)"},
    {"window_unmap_arena", window_unmap_arena, METH_O, "window_unmap_arena(base)"},
    {"window_populate", window_populate, METH_VARARGS, "window_populate(base, offset, size_bytes, writable)"},
    {"window_blank", window_blank, METH_VARARGS, "window_blank(base, template)\n\nAll zero, arena included."},
    {"window_allow_mappings", window_allow_mappings, METH_O,
     "window_allow_mappings(most)\n\nThat windows have where a view of a shared heap is made."},
    {"resident_pages", resident_pages, METH_NOARGS,
     "resident_pages() -> (windows, pages)\n\nWindows that may have pages, and how many they have."},
    {"window_pages", window_pages, METH_O, "window_pages(base) -> int\n\nHow many are present."},
    {NULL, NULL, 0, NULL},
};

/* -- pins --------------------------------------------------------------------------------------------- */
static PyObject *pin_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    static char *names[] = {"base", "offset", "size_bytes", NULL};
    unsigned long long base, offset, size;
    struct window *window;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "KKK:Pin", names, &base, &offset, &size) ||
        (window = window_at(base)) == NULL) {
        return NULL;
    }
    if (offset > TMEBOX_WINDOW_SIZE || size > TMEBOX_WINDOW_SIZE - offset) {
        PyErr_SetString(PyExc_ValueError, "not within a window");
        return NULL;
    }
    struct pin *self = (struct pin *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->start = (uint32_t)(offset / PAGE);
        self->end = (uint32_t)((offset + size + PAGE - 1) / PAGE);
        self->window = window;
        self->next = window->pins;
        self->link = &window->pins;
        if (self->next != NULL) {
            self->next->link = &self->next;
        }
        window->pins = self;
    }
    return (PyObject *)self;
}

static void pin_dealloc(PyObject *object) {
    struct pin *self = (struct pin *)object;
    *self->link = self->next;
    if (self->next != NULL) {
        self->next->link = self->link;
    }
    Py_TYPE(object)->tp_free(object);
}

PyTypeObject tmebox_pin_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "tmebox._native.Pin",
    .tp_doc = "Pin(base, offset, size_bytes)\n\nAs long as it lives, pages that are present stay so.",
    .tp_basicsize = sizeof(struct pin),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = pin_new,
    .tp_dealloc = pin_dealloc,
};
