/* The first thread, complete at link time, and the variables by which the running one is found. */
#include "pthread_impl.h"

volatile int __thread_list_lock;

struct __pthread __tmebox_first_thread = {
	.self = &__tmebox_first_thread,
	.prev = &__tmebox_first_thread,
	.next = &__tmebox_first_thread,
	.tid = 1,
	.detach_state = DT_JOINABLE,
	.locale = &libc.global_locale,
	.robust_list = { .head = &__tmebox_first_thread.robust_list.head },
};

struct __pthread *__tmebox_self = &__tmebox_first_thread;
