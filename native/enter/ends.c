/* How calls end that do not return: which trap it was, and the exception for it. */
#include "enter/control.h"
#include "enter/enter.h"

#include <signal.h>
#include <string.h>

void tmebox_trap_at_window(struct activation *activation, struct window_fault fault,
                           uint64_t instruction_address) {
    struct trap *trap = &activation->trap;
    memset(trap, 0, sizeof *trap);
    trap->owner = -1;
    trap->outcome = 0;
    trap->signal = (int)(fault.how & 0xff);
    trap->access = (int8_t)(fault.how >> 8);
    trap->code = (int)(fault.how >> 32);
    trap->fault_address = fault.address;
    trap->instruction_address = instruction_address;
    trap->registers[REGISTER_RSP] = tmebox_in_window(activation->instance, activation->rsp);
    activation->outcome = TRAPPED;
}

void tmebox_trap_in_host(struct activation *activation, struct window_fault fault) {
    static const uint8_t order[6] = {7, 6, 2, 1, 8, 9}; /* rdi rsi rdx rcx r8 r9 */
    tmebox_trap_at_window(activation, fault, TMEBOX_GATE_HOSTCALL);
    activation->trap.registers[0] = activation->rax;
    activation->trap.registers[11] = activation->index;
    for (int i = 0; i < 6; i++) {
        activation->trap.registers[order[i]] = activation->integers[i];
    }
}

unsigned long long tmebox_trap_count;

/* NULL with an exception set. */
static PyObject *explained(PyObject *make_trap, const struct instance *instance, struct trap *trap) {
    if (!tmebox_explain_machine_check(instance, trap)) {
        return NULL;
    }
    return PyObject_CallFunction(
        make_trap, "iiKKiKy#iiiK", trap->signal, trap->code, (unsigned long long)trap->fault_address,
        (unsigned long long)trap->instruction_address, trap->access,
        (unsigned long long)trap->registers[REGISTER_RSP], (const char *)trap->registers,
        (Py_ssize_t)sizeof trap->registers, trap->owner, trap->outcome, trap->outcome_key,
        (unsigned long long)trap->stack_top);
}

RARE void tmebox_raise_trap(const struct instance *instance, struct trap *trap) {
    tmebox_trap_count++;
    PyObject *make_trap = Py_NewRef(instance->make_trap); /* the sandbox may be closed from here on */
    PyObject *error = explained(make_trap, instance, trap);
    Py_DECREF(make_trap);
    if (error == NULL) {
        return;
    }
    if (PyExceptionInstance_Check(error)) {
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    } else {
        PyErr_SetString(PyExc_TypeError, "make_trap must return an exception");
    }
    Py_DECREF(error);
}

RARE void tmebox_raise_pending(struct activation *activation) {
    PyObject *error = activation->pending;
    activation->pending = NULL;
    if (activation->outcome == RETURNED) {
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        Py_DECREF(error);
    } else { /* dropping it may run any code */
        PyObject *type, *value, *traceback;
        PyErr_Fetch(&type, &value, &traceback);
        Py_DECREF(error);
        PyErr_Restore(type, value, traceback);
    }
}
