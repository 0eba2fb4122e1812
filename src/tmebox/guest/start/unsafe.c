/* Where clang puts arrays whose size is known only when they are made (-fsanitize=safe-stack), in functions that have
   any: below this pointer. The control stack's twin has everything else, since its frames have constant sizes. The loader
   sets it, and how low it may be, which compiled code asks for before each new array. */
#include "abi.h"

_Thread_local struct arrays {
	unsigned long end, lowest;
} __safestack_unsafe_stack_ptr = { TMEBOX_ARRAYS_MARK, 0 };
const char __tmebox_has_unsafe_stack = 1;
