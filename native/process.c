/* What the process as a whole knows: which one it is, and the exception types that the core raises. */
#include "process.h"

uint32_t tmebox_generation;
_Atomic int tmebox_own_threads;
PyObject *tmebox_busy_error, *tmebox_closed_error, *tmebox_limit_error, *tmebox_reference_error;
