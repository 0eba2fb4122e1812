/* Cancellation, at cancellation points: system calls that may wait, and pthread_testcancel(). A thread that has asked to be
   cancelled anywhere is cancelled there, too, or at once if it cancels itself. */
#include "pthread_impl.h"
#include "syscall.h"
#include "tasks.h"

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

static int is_wanted(long number)
{
	pthread_t self = __pthread_self();
	return self->cancel && self->canceldisable != PTHREAD_CANCEL_DISABLE && number != SYS_close;
}

/* Every system call that is a cancellation point. */
hidden long __syscall_cp_c(syscall_arg_t number, syscall_arg_t a, syscall_arg_t b, syscall_arg_t c, syscall_arg_t d,
                           syscall_arg_t e, syscall_arg_t f)
{
	if (is_wanted(number)) {
		long result = cancel();
		if (result) return result;
	}
	long result = __syscall(number, a, b, c, d, e, f);
	return result == -EINTR && is_wanted(number) ? cancel() : result;
}

__attribute__((__weak__)) HIDDEN struct task *__tmebox_find_task(int tid);
__attribute__((__weak__)) HIDDEN void __tmebox_wake(struct task *task, long result);

int pthread_cancel(pthread_t thread)
{
	thread->cancel = 1;
	if (thread == __pthread_self()) {
		if (thread->canceldisable == PTHREAD_CANCEL_ENABLE && thread->cancelasync) pthread_exit(PTHREAD_CANCELED);
		return 0;
	}
	__tmebox_keep_turn();
	struct task *task = __tmebox_others ? __tmebox_find_task(thread->tid) : NULL;
	if (task && thread->canceldisable != PTHREAD_CANCEL_DISABLE) __tmebox_wake(task, -EINTR);
	__tmebox_release_turn();
	return 0;
}
