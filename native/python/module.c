/* tmebox._native: the module, its constants, and what is set up once per process. */
#include "python/face.h"
#include "python/heap.h"
#include "enter/datapath.h"
#include "threads/signals.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static_assert(TMEBOX_GATE_HOSTCALL == TMEBOX_GATE_BASE, "the gate page's first entry");
static_assert(TMEBOX_GATE_EXIT - TMEBOX_GATE_BASE < GATE_RETURN_R15_OFFSET, "the gate page's second entry");
static_assert(TMEBOX_CODE_END == TMEBOX_TARGET_MAP, "code ends where map displacements end");
static_assert(TMEBOX_TARGET_MAP <= INT32_MAX, "a displacement in gates.S");
static_assert(TMEBOX_SPILL_REGISTER < -TMEBOX_RED_ZONE, "spills are below the red zone");
static_assert(TMEBOX_SPILL_TARGET >= -TMEBOX_RED_ZONE && TMEBOX_SPILL_TARGET <= -8, "the kernel's frames begin below it");
static_assert(TMEBOX_GATE_SIZE >= TMEBOX_PAGE_SIZE, "the gates' page");

static PyObject *install_gates(PyObject *module, PyObject *unused) {
    (void)module, (void)unused;
    static bool installed;
    if (installed) {
        Py_RETURN_NONE;
    }
    unsigned char *gates = (unsigned char *)TMEBOX_GATE_BASE;
    unsigned char *map = gates + TMEBOX_TARGET_MAP;
    if (mprotect(gates, TMEBOX_PAGE_SIZE, PROT_READ | PROT_WRITE) < 0 ||
        mprotect(map, TMEBOX_PAGE_SIZE, PROT_READ | PROT_WRITE) < 0) {
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    const uintptr_t pointers[2] = {(uintptr_t)tmebox_gate_hostcall, (uintptr_t)tmebox_gate_exit};
    memset(gates, 0xf4, TMEBOX_PAGE_SIZE); /* hlt */
    memcpy(gates, tmebox_gate_page, (size_t)(tmebox_gate_page_end - tmebox_gate_page));
    memcpy(gates + GATE_POINTERS_OFFSET, pointers, sizeof pointers);
    map[TMEBOX_GATE_EXIT - TMEBOX_GATE_BASE] = TMEBOX_TARGET_RETURN << TMEBOX_TARGET_R15_SHIFT;
    if (mprotect(map, TMEBOX_PAGE_SIZE, PROT_READ) < 0 ||
        mprotect(gates, TMEBOX_PAGE_SIZE, PROT_READ | PROT_EXEC) < 0) {
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    installed = true;
    Py_RETURN_NONE;
}

static PyObject *set_vector_policy(PyObject *module, PyObject *args, PyObject *keywords) {
    (void)module;
    static char *names[] = {"avx", "avx512", NULL};
    int avx, avx512;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "pp:set_vector_policy", names, &avx, &avx512)) {
        return NULL;
    }
    tmebox_vector_policy = (uint32_t)((avx || avx512 ? POLICY_AVX : 0) | (avx512 ? POLICY_AVX512 : 0));
    Py_RETURN_NONE;
}

static PyObject *set_processor(PyObject *module, PyObject *bits) {
    (void)module;
    unsigned long value = PyLong_AsUnsignedLong(bits);
    if (value == (unsigned long)-1 && PyErr_Occurred()) {
        return NULL;
    }
    tmebox_processor = value;
    Py_RETURN_NONE;
}

static PyObject *processor(PyObject *module, PyObject *unused) {
    (void)module, (void)unused;
    return PyLong_FromUnsignedLongLong(tmebox_processor);
}

static PyObject *expect_x87(PyObject *module, PyObject *unused) {
    (void)module, (void)unused;
    tmebox_x87_expected = true;
    Py_RETURN_NONE;
}

static PyObject *install_handlers(PyObject *module, PyObject *unused) {
    (void)module, (void)unused;
    if (tmebox_install_handlers() < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *ensure_handlers(PyObject *module, PyObject *unused) {
    (void)module, (void)unused;
    if (tmebox_ensure_handlers() < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *remove_handlers(PyObject *module, PyObject *unused) {
    (void)module, (void)unused;
    if (tmebox_remove_handlers() < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *handlers_installed(PyObject *module, PyObject *unused) {
    (void)module, (void)unused;
    return PyBool_FromLong(tmebox_handlers_current());
}

static PyObject *needed_signals(PyObject *module, PyObject *unused) {
    (void)module, (void)unused;
    sigset_t set;
    tmebox_needed_signals(&set);
    PyObject *result = PyList_New(0);
    for (int signal = 1; result != NULL && signal <= SIGRTMAX; signal++) {
        PyObject *number = sigismember(&set, signal) == 1 ? PyLong_FromLong(signal) : NULL;
        if (number != NULL && PyList_Append(result, number) < 0) {
            Py_CLEAR(result);
        }
        Py_XDECREF(number);
    }
    return result;
}

/* Under the GIL this is exact: calls begin and end with it held. */
static PyObject *calls_in_progress(PyObject *module, PyObject *unused) {
    (void)module, (void)unused;
    unsigned long long count = 0;
    pthread_mutex_lock(&tmebox_registry_lock);
    for (struct thread *thread = tmebox_registry; thread != NULL; thread = thread->next) {
        count += thread->depth;
    }
    pthread_mutex_unlock(&tmebox_registry_lock);
    return PyLong_FromUnsignedLongLong(count);
}

/* A poll begins by counting itself and then leaves `current`, and ends the other way round, without the GIL. So
 * who finds `current` empty, no poll, and `current` still empty, has not looked in between. */
static bool is_inside(const struct thread *thread) {
    return __atomic_load_n(&thread->current, __ATOMIC_SEQ_CST) != NULL ||
           __atomic_load_n(&thread->polls, __ATOMIC_SEQ_CST) != 0 ||
           __atomic_load_n(&thread->current, __ATOMIC_SEQ_CST) != NULL;
}

/* Code addresses may be in use by the threads listed: what they run was not left since `outermost` and `quiet`
 * became what they are. A thread in a host call is none of them: where it comes back to is checked by the target map then,
 * or its control stack says so (tmebox_stacks_hold). One that is polled is, since it goes on where it was. */
static PyObject *restless(PyObject *module, PyObject *unused) {
    (void)module, (void)unused;
    struct state {
        unsigned long long thread, outermost, quiet;
    } *found = NULL;
    size_t count = 0, most = 0;
    /* First the facts: making Python objects may run finalizers, which may want the registry. */
    pthread_mutex_lock(&tmebox_registry_lock);
    for (struct thread *thread = tmebox_registry; thread != NULL; thread = thread->next) {
        most++;
    }
    found = PyMem_Calloc(most + 1, sizeof *found);
    for (struct thread *thread = tmebox_registry; found != NULL && thread != NULL; thread = thread->next) {
        if (thread->depth != 0 && is_inside(thread)) {
            found[count++] = (struct state){(uintptr_t)thread, thread->outermost, thread->quiet};
        }
    }
    pthread_mutex_unlock(&tmebox_registry_lock);
    PyObject *list = found != NULL ? PyList_New(0) : PyErr_NoMemory();
    for (size_t i = 0; list != NULL && i < count; i++) {
        PyObject *row = Py_BuildValue("KKK", found[i].thread, found[i].outermost, found[i].quiet);
        if (row == NULL || PyList_Append(list, row) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(row);
    }
    PyMem_Free(found);
    return list;
}

static PyObject *trap_count(PyObject *module, PyObject *unused) {
    (void)module, (void)unused;
    return PyLong_FromUnsignedLongLong(tmebox_trap_count);
}

/* The core's state is the process's, and the main thread's signal handlers are the main interpreter's. */
static PyObject *require_main_interpreter(PyObject *module, PyObject *unused) {
    (void)module, (void)unused;
    if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
        PyErr_SetString(PyExc_ImportError, "tmebox works in the main interpreter only, not in a subinterpreter: "
                                           "call it from there, or start a process");
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *configure(PyObject *module, PyObject *args, PyObject *keywords) {
    (void)module;
    static char *names[] = {"busy", "closed", "limit", "reference", NULL};
    PyObject *busy, *closed, *limit, *reference;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "$OOOO:configure", names, &busy, &closed, &limit, &reference)) {
        return NULL;
    }
    if (!PyExceptionClass_Check(busy) || !PyExceptionClass_Check(closed) || !PyExceptionClass_Check(limit) ||
        !PyExceptionClass_Check(reference)) {
        PyErr_SetString(PyExc_TypeError, "busy, closed, limit and reference must be exception types");
        return NULL;
    }
    Py_INCREF(reference);
    Py_XSETREF(tmebox_reference_error, reference);
    Py_INCREF(busy);
    Py_XSETREF(tmebox_busy_error, busy);
    Py_INCREF(closed);
    Py_XSETREF(tmebox_closed_error, closed);
    Py_INCREF(limit);
    Py_XSETREF(tmebox_limit_error, limit);
    Py_RETURN_NONE;
}

/* To what may not be read any more: a host that has the default for SIGPIPE would end. In C, as no handler of Python's may
 * come in between. */
static PyObject *write_quietly(PyObject *module, PyObject *args) {
    (void)module;
    int descriptor;
    Py_buffer data;
    if (!PyArg_ParseTuple(args, "iy*:write_quietly", &descriptor, &data)) {
        return NULL;
    }
    ssize_t written;
    int error;
    Py_BEGIN_ALLOW_THREADS
    enum pipes pipes = tmebox_block_broken_pipe();
    written = write(descriptor, data.buf, (size_t)data.len);
    error = errno;
    tmebox_unblock_broken_pipe(pipes);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&data);
    errno = error;
    return written < 0 ? PyErr_SetFromErrno(PyExc_OSError) : PyLong_FromSsize_t(written);
}

/* For tests, which want them short. */
static PyObject *set_slice(PyObject *module, PyObject *value) {
    (void)module;
    unsigned long long slice_ns = PyLong_AsUnsignedLongLong(value);
    if (PyErr_Occurred()) {
        return NULL;
    }
    return PyLong_FromUnsignedLongLong(atomic_exchange(&tmebox_slice_ns, slice_ns > 1000 ? slice_ns : 1000));
}

static PyMethodDef process_methods[] = {
    {"install_gates", install_gates, METH_NOARGS, "install_gates()\n\nWrite the gate page."},
    {"set_vector_policy", (PyCFunction)(void (*)(void))set_vector_policy, METH_VARARGS | METH_KEYWORDS,
     "set_vector_policy(avx, avx512)"},
    {"set_processor", set_processor, METH_O,
     "set_processor(bits)\n\nWhat new windows say of the processor: CONTROL_PROCESSOR."},
    {"processor", processor, METH_NOARGS, "processor() -> int\n\nWhat was set by set_processor()."},
    {"expect_x87", expect_x87, METH_NOARGS,
     "expect_x87()\n\nFrom now on sandboxes may leave x87 state behind."},
    {"install_handlers", install_handlers, METH_NOARGS,
     "install_handlers()\n\nTake over what ends sandboxes."},
    {"ensure_handlers", ensure_handlers, METH_NOARGS,
     "ensure_handlers()\n\ninstall_handlers() if somebody replaced those for faults."},
    {"remove_handlers", remove_handlers, METH_NOARGS, "remove_handlers()\n\nPut back what was there."},
    {"handlers_installed", handlers_installed, METH_NOARGS, "handlers_installed() -> bool"},
    {"needed_signals", needed_signals, METH_NOARGS,
     "needed_signals() -> list\n\nThose that end or interrupt sandboxed code."},
    {"calls_in_progress", calls_in_progress, METH_NOARGS, "calls_in_progress() -> int\n\nOn all threads."},
    {"restless", restless, METH_NOARGS,
     "restless() -> [(thread, outermost, quiet), ...]\n\nThreads that are in the middle of sandboxed code."},
    {"write_quietly", write_quietly, METH_VARARGS,
     "write_quietly(descriptor, data) -> int\n\nos.write(), which raises no SIGPIPE."},
    {"set_slice", set_slice, METH_O,
     "set_slice(ns) -> int\n\nHow long a thread of a sandbox runs before it is interrupted. What that was before."},
    {"trap_count", trap_count, METH_NOARGS, "trap_count() -> int\n\nSince the process began."},
    {"require_main_interpreter", require_main_interpreter, METH_NOARGS,
     "require_main_interpreter()\n\nImportError in another one."},
    {"configure", (PyCFunction)(void (*)(void))configure, METH_VARARGS | METH_KEYWORDS,
     "configure(*, busy, closed, limit, reference)\n\nException types raised from here."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "tmebox._native",
    .m_doc = "Entering, leaving, host calls, traps, interrupts, and mapping.",
    .m_size = -1,
};

static int add_types(PyObject *module) {
    PyTypeObject *types[] = {&tmebox_region_type, &tmebox_instance_type, &tmebox_function_type,
                             &tmebox_export_type, &tmebox_template_type, &tmebox_shelf_type,
                             &tmebox_extents_type, &tmebox_pin_type,      &tmebox_guest_descriptors_type,
                             &tmebox_tme_engine_type, &tmebox_heap_type,  &tmebox_block_type,
                             &tmebox_descriptor_type, &tmebox_pointer_type};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (PyModule_AddType(module, types[i]) < 0) {
            return -1;
        }
    }
    return tmebox_init_structs(module) < 0 ? -1 : tmebox_init_pointer_makers(module);
}

static int add_constants(PyObject *module) {
    static const struct {
        const char *name;
        int value;
    } constants[] = {
        {"PROT_NONE", PROT_NONE}, {"PROT_READ", PROT_READ}, {"PROT_WRITE", PROT_WRITE},
        {"PROT_EXEC", PROT_EXEC}, {"IDLE", IDLE},           {"RUNNING", RUNNING},
        {"DEAD", DEAD},           {"BLOCK_DENSE", BLOCK_DENSE}, {"BLOCK_SHAREABLE", BLOCK_SHAREABLE},
        {"BLOCK_MOVABLE", BLOCK_MOVABLE},
    };
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++) {
        if (PyModule_AddIntConstant(module, constants[i].name, constants[i].value) < 0) {
            return -1;
        }
    }
    return 0;
}

PyMODINIT_FUNC PyInit__native(void) {
#ifdef Py_GIL_DISABLED
    PyErr_SetString(PyExc_ImportError, "tmebox needs a Python with the GIL; this is a free-threaded build");
    return NULL;
#endif
    PyObject *module = PyModule_Create(&definition);
    if (module == NULL) {
        return NULL;
    }
    tmebox_busy_error = Py_NewRef(PyExc_RuntimeError);
    tmebox_closed_error = Py_NewRef(PyExc_RuntimeError);
    tmebox_limit_error = Py_NewRef(PyExc_RuntimeError);
    tmebox_reference_error = Py_NewRef(PyExc_RuntimeError);
    tmebox_init_traps();
    tmebox_heap_init();
    tmebox_init_guard();
    tmebox_find_clock();
    if (tmebox_init_threads() < 0 || tmebox_init_custody() < 0 || tmebox_init_extents() < 0 || tmebox_init_side() < 0 ||
        PyModule_AddFunctions(module, tmebox_custody_methods) < 0 ||
        PyModule_AddFunctions(module, tmebox_memory_methods) < 0 ||
        PyModule_AddFunctions(module, tmebox_cpu_methods) < 0 ||
        PyModule_AddFunctions(module, tmebox_confine_methods) < 0 ||
        PyModule_AddFunctions(module, tmebox_crossing_methods) < 0 ||
        PyModule_AddFunctions(module, tmebox_stack_methods) < 0 ||
        PyModule_AddFunctions(module, tmebox_hostfunction_methods) < 0 ||
        PyModule_AddFunctions(module, tmebox_side_methods) < 0 ||
        PyModule_AddFunctions(module, tmebox_heap_module_methods) < 0 ||
        PyModule_AddFunctions(module, tmebox_tme_methods) < 0 ||
        PyModule_AddFunctions(module, tmebox_userfault_methods) < 0 ||
        PyModule_AddFunctions(module, tmebox_piece_methods) < 0 ||
        PyModule_AddFunctions(module, tmebox_window_methods) < 0 ||
        PyModule_AddFunctions(module, process_methods) < 0 || add_types(module) < 0 ||
        add_constants(module) < 0) {
        Py_DECREF(module);
        return NULL;
    }
    return module;
}
