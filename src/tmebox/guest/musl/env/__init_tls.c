/* The only thread. Variables declared thread-local are ordinary data here, so there is no thread-local block. */
#include "pthread_impl.h"

volatile int __thread_list_lock;

struct __pthread __tmebox_thread = {
	.self = &__tmebox_thread,
	.prev = &__tmebox_thread,
	.next = &__tmebox_thread,
	.tid = 1,
	.detach_state = DT_JOINABLE,
	.locale = &libc.global_locale,
	.robust_list = { .head = &__tmebox_thread.robust_list.head },
};
