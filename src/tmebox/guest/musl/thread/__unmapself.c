/* The end of a detached thread. Whoever runs next gives its stack back. */
#include "pthread_impl.h"
#include "tasks.h"

_Noreturn void __unmapself(void *base, size_t size)
{
	__tmebox_unmap_later((unsigned long)base, size);
	__tmebox_end_task();
}
