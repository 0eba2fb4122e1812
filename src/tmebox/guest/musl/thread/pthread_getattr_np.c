/* A stack's place and size; the first thread's is on the control page. */
#define _GNU_SOURCE
#include "abi.h"
#include "pthread_impl.h"

int pthread_getattr_np(pthread_t thread, pthread_attr_t *attributes)
{
	*attributes = (pthread_attr_t){ 0 };
	attributes->_a_detach = thread->detach_state >= DT_DETACHED;
	attributes->_a_guardsize = thread->guard_size;
	if (thread->stack) {
		attributes->_a_stackaddr = (uintptr_t)thread->stack;
		attributes->_a_stacksize = thread->stack_size;
		return 0;
	}
	unsigned long low = *(const unsigned long *)TMEBOX_CONTROL_STACK_LOW;
	unsigned long top = *(const unsigned long *)TMEBOX_CONTROL_STACK_TOP;
	attributes->_a_stackaddr = top;
	attributes->_a_stacksize = top - low;
	return 0;
}
