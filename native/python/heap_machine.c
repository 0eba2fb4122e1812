/* What a Heap has to do with a machine of tme/, if its blocks live in one. */
#include "enter/side.h"
#include "python/heap.h"

#include <errno.h>

static int drop_machine(void *machine) {
    Py_DECREF((PyObject *)machine);
    return 0;
}

/* From wherever the heap's last user goes, perhaps without the GIL, perhaps with locks: later, since what watches the
 * machine's end is Python code. */
static void let_machine_go(void *machine) {
    if (Py_IsInitialized() && Py_AddPendingCall(drop_machine, machine) < 0 && PyGILState_Check()) {
        drop_machine(machine);
    }
}

/* What keeps pages apart: without views, and with. */
static const struct heap_backend *const backends[][2] = {
    {&tmebox_heap_without_views, &tmebox_heap_mmu},
    {&tmebox_heap_model_without_views, &tmebox_heap_model},
    {&tmebox_heap_tmemk_without_views, &tmebox_heap_tmemk},
};
enum { BY_PAGE_TABLES, BY_A_MACHINE, BY_THE_DRIVER };

/* The model's if there is a machine, the driver's if there is a device. */
struct heap *tmebox_heap_in(PyObject *machine, int device, size_t size, bool dense, bool views) {
    struct tme_machine *memory = NULL;
    if (machine != Py_None && (memory = tmebox_tme_machine_of(machine)) == NULL) {
        return NULL;
    }
    int kind = device >= 0 ? BY_THE_DRIVER : memory != NULL ? BY_A_MACHINE : BY_PAGE_TABLES;
    const struct heap_backend *backend = backends[kind][views ? 1 : 0];
    errno = tmebox_side_prepare();
    struct heap *heap = errno == 0 ? tmebox_heap_new(size, dense, backend, device) : NULL;
    if (heap != NULL && memory != NULL) {
        if (tmebox_heap_encrypt(heap, memory, machine, let_machine_go)) {
            Py_INCREF(machine);
        } else {
            int error = errno;
            tmebox_heap_let_go(heap);
            heap = NULL;
            errno = error;
        }
    }
    return heap != NULL ? heap : (struct heap *)PyErr_SetFromErrno(PyExc_OSError);
}

/* The processor has found it, and there is no machine to ask. */
static void raise_violation(const struct heap_bad *bad, const char *access) {
    unsigned long long offset = TMEBOX_SHARED_START + bad->place;
    PyObject *errors = PyImport_ImportModule("tmebox.errors"), *error = NULL;
    PyObject *type = errors != NULL ? PyObject_GetAttrString(errors, "IntegrityViolation") : NULL;
    PyObject *text = PyUnicode_FromFormat("%s at %p in the shared heap: memory no longer holds what key %d wrote", access,
                                          (void *)offset, bad->key);
    PyObject *args = text != NULL ? PyTuple_Pack(1, text) : NULL;
    PyObject *facts = Py_BuildValue("{s:K,s:s,s:i}", "offset", offset, "access", access, "owner_key_id", bad->key);
    if (type != NULL && args != NULL && facts != NULL) {
        error = PyObject_Call(type, args, facts);
    }
    if (error != NULL) {
        PyErr_SetObject(type, error);
    }
    Py_XDECREF(error);
    Py_XDECREF(facts);
    Py_XDECREF(args);
    Py_XDECREF(text);
    Py_XDECREF(type);
    Py_XDECREF(errors);
}

void tmebox_heap_raise_bad(const struct heap *heap, const struct heap_bad *bad, const char *access) {
    PyObject *machine = heap->keeper;
    if (machine == NULL) {
        raise_violation(bad, access);
        return;
    }
    PyObject *nothing = PyObject_CallMethod(machine, "_fault", "iKIs", bad->outcome,
                                            (unsigned long long)(bad->place / LINE * LINE), (unsigned int)bad->key, access);
    if (nothing != NULL) {
        Py_DECREF(nothing);
        PyErr_SetString(PyExc_RuntimeError, "_fault() has to raise");
    }
}
