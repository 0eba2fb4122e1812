/* Where clang puts arrays whose size is known only when they are made (-fsanitize=safe-stack), in functions that have
   any: below this pointer. The control stack's twin has everything else, since its frames have constant sizes. */
#define SIZE (1 << 20)

static char below[SIZE] __attribute__((aligned(16)));
_Thread_local char *__safestack_unsafe_stack_ptr = below + SIZE;
const char __tmebox_has_unsafe_stack = 1;
