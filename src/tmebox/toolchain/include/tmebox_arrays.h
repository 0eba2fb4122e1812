/* Included before sources with arrays whose size is known only when they are made: those are on a stack of their own, and
   accesses to its pointer then have its name, so that what is allocated there can be checked against what is left. */
#ifdef __cplusplus
extern "C"
#else
extern
#endif
__thread void *__safestack_unsafe_stack_ptr __attribute__((__tls_model__("local-exec")));
static __attribute__((__used__, __unused__)) void *__tmebox_arrays(void) { return __safestack_unsafe_stack_ptr; }
