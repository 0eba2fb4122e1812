/* No second thread or process can exist. */
#include "pthread_impl.h"

int __clone(int (*entry)(void *), void *stack, int flags, void *argument, ...)
{
	(void)entry, (void)stack, (void)flags, (void)argument;
	return -ENOSYS;
}
