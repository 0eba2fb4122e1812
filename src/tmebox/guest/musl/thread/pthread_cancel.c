/* Cancellation of the only thread, by itself: acted on at once if asynchronous, else at the next cancellation point. */
#include "pthread_impl.h"
#include "syscall.h"

static long cancel(void)
{
	pthread_t self = __pthread_self();
	if (self->canceldisable == PTHREAD_CANCEL_ENABLE || self->cancelasync) pthread_exit(PTHREAD_CANCELED);
	self->canceldisable = PTHREAD_CANCEL_DISABLE;
	return -ECANCELED;
}

void __testcancel(void)
{
	pthread_t self = __pthread_self();
	if (self->cancel && !self->canceldisable) cancel();
}

/* Every system call that is a cancellation point. */
hidden long __syscall_cp_c(syscall_arg_t number, syscall_arg_t a, syscall_arg_t b, syscall_arg_t c, syscall_arg_t d,
                           syscall_arg_t e, syscall_arg_t f)
{
	pthread_t self = __pthread_self();
	if (self->cancel && self->canceldisable != PTHREAD_CANCEL_DISABLE && number != SYS_close) {
		long result = cancel();
		if (result) return result;
	}
	return __syscall(number, a, b, c, d, e, f);
}

int pthread_cancel(pthread_t thread)
{
	if (thread != __pthread_self()) return ESRCH;
	thread->cancel = 1;
	if (thread->canceldisable == PTHREAD_CANCEL_ENABLE && thread->cancelasync) pthread_exit(PTHREAD_CANCELED);
	return 0;
}
