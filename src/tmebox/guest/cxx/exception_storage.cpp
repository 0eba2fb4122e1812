/* What a thread has of exceptions: those that it handles, and how many it throws. As libc++abi has it, but that the loader finds
   it: where an exception of the host's has ended the handlers, the core puts both back. */
#include "cxa_exception.h"

extern "C" {
#include "abi.h"
}

namespace __cxxabiv1 {
namespace {
thread_local struct {
	__cxa_eh_globals globals;
	unsigned long mark;
} kept = { {}, TMEBOX_EXCEPTIONS_MARK };

static_assert(sizeof kept.globals == TMEBOX_EXCEPTIONS_BYTES, "the loader looks there");
} // namespace

extern "C" {
__cxa_eh_globals *__cxa_get_globals() { return &kept.globals; }
__cxa_eh_globals *__cxa_get_globals_fast() { return &kept.globals; }
} // extern "C"
} // namespace __cxxabiv1
