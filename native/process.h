/* What every file of the core starts from: Python, the numbers of abi.h, hints for the compiler, and what the
 * process as a whole knows. It knows nothing of the folders. */
#ifndef TMEBOX_PROCESS_H
#define TMEBOX_PROCESS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi.h"

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define RARE __attribute__((cold, noinline)) /* kept away from the code around its call */

/* Counts forks on the way from the first process to this one. */
extern uint32_t tmebox_generation;

/* Threads that the core has started in this process, and on which nobody else's code runs. */
extern _Atomic int tmebox_own_threads;

/* The exception types of the package's errors.py, once it has handed them over. */
extern PyObject *tmebox_busy_error, *tmebox_closed_error, *tmebox_limit_error, *tmebox_reference_error;

#endif
