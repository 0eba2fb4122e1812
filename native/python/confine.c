/* Threads that the kernel confines, with all that they start: system calls only. What may still be done, Python decides. */
#include "python/face.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* From <linux/landlock.h>, which older systems lack. */
#define CREATE_RULESET 444
#define ADD_RULE 445
#define RESTRICT_SELF 446
#define RULESET_VERSION 1U
#define RULE_PATH_BENEATH 1

#define STACK_BYTES (1U << 20) /* some C libraries give less than Python needs */

static PyObject *landlock_version(PyObject *module, PyObject *unused) {
    (void)module, (void)unused;
    long version = syscall(CREATE_RULESET, NULL, 0, RULESET_VERSION);
    return PyLong_FromLong(version < 0 ? 0 : version);
}

static PyObject *landlock_ruleset(PyObject *module, PyObject *args) {
    (void)module;
    const char *attributes;
    Py_ssize_t size;
    if (!PyArg_ParseTuple(args, "y#:landlock_ruleset", &attributes, &size)) {
        return NULL;
    }
    long ruleset = syscall(CREATE_RULESET, attributes, (size_t)size, 0);
    return ruleset < 0 ? PyErr_SetFromErrno(PyExc_OSError) : PyLong_FromLong(ruleset);
}

static PyObject *landlock_allow(PyObject *module, PyObject *args) {
    (void)module;
    int ruleset, descriptor;
    unsigned long long access;
    if (!PyArg_ParseTuple(args, "iiK:landlock_allow", &ruleset, &descriptor, &access)) {
        return NULL;
    }
    struct {
        uint64_t access;
        int32_t parent;
    } __attribute__((packed)) rule = {access, descriptor};
    if (syscall(ADD_RULE, ruleset, RULE_PATH_BENEATH, &rule, 0) < 0) {
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    Py_RETURN_NONE;
}

struct work {
    PyObject *function, *result, *type, *value, *traceback;
    int ruleset;
    const struct sock_fprog *filter;
};

static int confine(const struct work *work) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
        return -1;
    }
    if (work->ruleset >= 0 && syscall(RESTRICT_SELF, work->ruleset, 0) < 0) {
        return -1;
    }
    return work->filter->len == 0 ? 0 : prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, work->filter);
}

static void *confined(void *argument) {
    struct work *work = argument;
    PyGILState_STATE state = PyGILState_Ensure();
    if (confine(work) < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
    } else {
        work->result = PyObject_CallNoArgs(work->function);
    }
    PyErr_Fetch(&work->type, &work->value, &work->traceback);
    PyGILState_Release(state);
    return NULL;
}

/* On a new one, since what is said here holds for a thread until it ends. It blocks the signals that the caller does, which
 * what it starts inherits. */
static PyObject *call_confined(PyObject *module, PyObject *args) {
    (void)module;
    struct work work = {0};
    const char *filter;
    Py_ssize_t size;
    if (!PyArg_ParseTuple(args, "Oiy#:call_confined", &work.function, &work.ruleset, &filter, &size)) {
        return NULL;
    }
    struct sock_fprog program = {(unsigned short)((size_t)size / sizeof(struct sock_filter)), (void *)(uintptr_t)filter};
    work.filter = &program;
    pthread_t thread;
    pthread_attr_t attributes;
    int error;
    Py_BEGIN_ALLOW_THREADS
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    error = pthread_create(&thread, &attributes, confined, &work);
    if (error == 0) {
        pthread_join(thread, NULL);
    }
    pthread_attr_destroy(&attributes);
    Py_END_ALLOW_THREADS
    if (error != 0) {
        errno = error;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    if (work.result == NULL) {
        PyErr_Restore(work.type, work.value, work.traceback);
    }
    return work.result;
}

PyMethodDef tmebox_confine_methods[] = {
    {"landlock_version", landlock_version, METH_NOARGS, "landlock_version() -> int\n\nOf its ABI; 0: there is none."},
    {"landlock_ruleset", landlock_ruleset, METH_VARARGS, "landlock_ruleset(attributes) -> descriptor"},
    {"landlock_allow", landlock_allow, METH_VARARGS, "landlock_allow(ruleset, descriptor, access)"},
    {"call_confined", call_confined, METH_VARARGS,
     "call_confined(function, ruleset, filter)\n\nCall it on a new thread under both."},
    {NULL, NULL, 0, NULL},
};
