/* Threads: there is one. Creating another fails as it does where a system has run out of them. */
#include <stdlib.h>

#include "fork_impl.h"
#include "pthread_impl.h"

static void dummy_0(void)
{
}
weak_alias(dummy_0, __pthread_tsd_run_dtors);

hidden int __pthread_create(pthread_t *restrict thread, const pthread_attr_t *restrict attributes,
                            void *(*entry)(void *), void *restrict argument)
{
	(void)thread, (void)attributes, (void)entry, (void)argument;
	return EAGAIN;
}

/* The last thread's exit is the process's, with status 0. */
hidden _Noreturn void __pthread_exit(void *result)
{
	pthread_t self = __pthread_self();
	self->canceldisable = 1;
	self->cancelasync = 0;
	self->result = result;
	while (self->cancelbuf) {
		struct __ptcb *cleanup = self->cancelbuf;
		self->cancelbuf = cleanup->__next;
		cleanup->__f(cleanup->__x);
	}
	__pthread_tsd_run_dtors();
	exit(0);
}

void __do_cleanup_push(struct __ptcb *cleanup)
{
	cleanup->__next = __pthread_self()->cancelbuf;
	__pthread_self()->cancelbuf = cleanup;
}

void __do_cleanup_pop(struct __ptcb *cleanup)
{
	__pthread_self()->cancelbuf = cleanup->__next;
}

/* The list of threads has one entry and nobody else to keep out. */
void __tl_lock(void)
{
}

void __tl_unlock(void)
{
}

void __tl_sync(pthread_t thread)
{
	(void)thread;
}

weak_alias(__pthread_exit, pthread_exit);
weak_alias(__pthread_create, pthread_create);
