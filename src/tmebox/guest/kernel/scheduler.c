/* Whose turn it is: threads of the sandbox, one at a time, in the order in which they became able to run.

   A thread's turn ends where it waits, where it yields, and at a call of the C library after SLICE_NS. Code that makes no such
   call is interrupted with a control stack (keeper.c), and else by nothing. */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/syscall.h>

#include "pthread_impl.h"
#include "tasks.h"

enum { SECOND_NS = 1000000000, MILLISECOND_NS = 1000000, SLICE_NS = 5000000, LOOK_NS = 1000000, OPERATIONS = 64 };

static struct task **queue_end = &__tmebox_queue;
static unsigned long waits; /* numbers them */
HIDDEN long __tmebox_slice_end_ns;
static long looked_ns;
static struct task *ended; /* it runs no more, and is to leave the ring */
#ifdef __tmebox_twin__
static long ends; /* what the core is told then, else 0: 1, or one more than the number of another stack that ends with its own */
__attribute__((__weak__)) HIDDEN long __tmebox_ends_handler(struct task *task);
#endif
static unsigned long unmap_start;
static size_t unmap_length;

/* -- calls of the host's ------------------------------------------------------------------------------------- */
/* A host function that a thread has called may call the sandbox again. Such a call has to end before the one that it came
   from goes on. So of all threads that are in calls of the host's, only the one that is in the innermost can run. */
static struct task *callers[CALL_LEVELS + 1];
static long level;

static void look_at_calls(void)
{
	const long none[6] = { 0 };
	long depth = __tmebox_syscall(TMEBOX_SYS_CALL_DEPTH, none);
	if (depth < 0 || depth > CALL_LEVELS) return;
	while (level > depth) callers[level--]->levels--;
	while (level < depth) {
		callers[++level] = __tmebox_task;
		__tmebox_task->levels++;
	}
}

static int may_run(const struct task *task)
{
	return !task->levels || callers[level] == task;
}

/* -- the queue ----------------------------------------------------------------------------------------------- */
/* Somebody else could run now, or will later, or a timer goes off: the turn has an end. */
static void limit_turn(void)
{
#ifdef __tmebox_twin__
	if (__tmebox_contended() || __tmebox_timer_due_ns) __tmebox_limit_turns();
#endif
}

HIDDEN void __tmebox_enqueue(struct task *task)
{
	task->after = NULL;
	*queue_end = task;
	queue_end = &task->after;
	limit_turn();
}

HIDDEN struct task *__tmebox_take_first(void)
{
	if (__tmebox_queue) look_at_calls();
	for (struct task **at = &__tmebox_queue; *at; at = &(*at)->after) {
		struct task *task = *at;
		if (!may_run(task)) continue;
		*at = task->after;
		if (!*at) queue_end = at;
		return task;
	}
	return NULL;
}

HIDDEN void __tmebox_wake(struct task *task, long result)
{
	if (!task->waiting) return;
	task->waiting = 0;
	__tmebox_waiting_outside -= task->want_count || task->deadline_ns;
	task->result = result;
	__tmebox_enqueue(task);
}

HIDDEN struct task *__tmebox_waiting_longest_at(const volatile int *word)
{
	struct task *found = NULL, *task = __tmebox_task;
	do {
		if (task->waiting && task->word == word && (!found || task->since < found->since)) found = task;
	} while ((task = task->next) != __tmebox_task);
	return found;
}

HIDDEN struct task *__tmebox_find_task(int tid)
{
	struct task *task = __tmebox_task;
	do {
		if (task->tid == tid) return task;
	} while ((task = task->next) != __tmebox_task);
	return NULL;
}

/* -- changing threads ---------------------------------------------------------------------------------------- */
/* Nothing is mapped as a guard below a thread's stack. What ran over it is seen here, before another thread
   runs. */
static void check_stack(const struct task *task)
{
	if (!task->stack_low) return;
	const unsigned long *words = (const unsigned long *)task->stack_low - 8;
	int damaged = (uintptr_t)__builtin_frame_address(0) < task->stack_low;
	for (int i = 0; task->guard && i < 8; i++) damaged |= words[i] != 0;
	if (damaged) __tmebox_stack_overflow();
}

/* On the new thread's stack: the old one's may go. */
HIDDEN void __tmebox_finish_change(void)
{
	if (ended) {
		ended->next->previous = ended->previous;
		ended->previous->next = ended->next;
		if (ended->arrays) __tmebox_pages_put(ended->arrays, ended->array_pages);
		if (!--__tmebox_others) __tmebox_turn_left = INT_MAX;
		ended = NULL;
#ifdef __tmebox_twin__
		ends = 0;
#endif
	}
	if (unmap_start) __tmebox_munmap(unmap_start, unmap_length);
	unmap_start = 0;
}

HIDDEN void __tmebox_run_as(struct task *task)
{
	__tmebox_task->blocked = __tmebox_kept.mask;
	__tmebox_task->blocked_at_rest = __tmebox_kept.mask_at_rest;
	__tmebox_task = task;
	__tmebox_self = task->descriptor;
	__tmebox_thread_offset = task->variables;
	__tmebox_kept.mask = task->blocked;
	__tmebox_kept.mask_at_rest = task->blocked_at_rest;
	__tmebox_slice_end_ns = 0;
}

/* A new thread's first turn begins in the middle of the scheduler. */
static void begin_own(void)
{
	__asm__ volatile("" : : : "memory");
	__tmebox_kept.keeps_turn = 0;
}

static void change_to(struct task *task)
{
	struct task *old = __tmebox_task;
	if (task == old) return;
	check_stack(old);
	__tmebox_run_as(task);
	unsigned long kept = __tmebox_kept.keeps_turn;
#ifdef __tmebox_twin__
	if (task->interrupted) __tmebox_go_on_interrupted(task, &old->rsp, ends);
	else __tmebox_switch(&old->rsp, task->number, ends);
#else
	__tmebox_switch(&old->rsp, task->rsp);
#endif
	__tmebox_kept.keeps_turn = kept;
	__tmebox_finish_change();
}

#ifdef __tmebox_twin__
extern _Thread_local struct arrays {
	unsigned long end, lowest;
} __safestack_unsafe_stack_ptr __attribute__((__weak__));
extern const char __tmebox_has_unsafe_stack __attribute__((__weak__)); /* a compiler takes the other for there */

/* The first thing that a thread does, when its turn comes. */
static _Noreturn void run_task(void)
{
	struct task *task = __tmebox_task;
	__asm__ volatile("ldmxcsr %0; fldcw %1" : : "m"(task->control_words[0]), "m"(task->control_words[1]));
	__tmebox_finish_change();
	if (task->arrays) {
		__safestack_unsafe_stack_ptr.lowest = task->arrays;
		__asm__ volatile("" : : : "memory"); /* the other store is checked against it */
		__safestack_unsafe_stack_ptr.end = task->arrays + task->array_pages * TMEBOX_PAGE_SIZE;
	}
	begin_own();
	task->entry(task->argument);
	__tmebox_end_task();
}

/* As much as its stack has, or less where that is too much. */
static int make_room_for_arrays(struct task *task, unsigned long stack)
{
	size_t pages = (stack - task->stack_low + TMEBOX_PAGE_SIZE - 1) / TMEBOX_PAGE_SIZE;
	for (; pages && !task->arrays; pages = task->arrays ? pages : pages / 2) {
		task->arrays = (unsigned long)__tmebox_pages_get(pages, 1, 0);
		task->array_pages = pages;
	}
	return task->arrays != 0;
}

static long begin(struct task *task, unsigned long stack)
{
	if (!__tmebox_has_keeper()) return -EAGAIN;
	if (&__tmebox_has_unsafe_stack && !make_room_for_arrays(task, stack)) return -EAGAIN;
	task->number = __tmebox_ask_core(TMEBOX_SYS_BEGIN_THREAD, (unsigned long)run_task, task->stack_low, stack);
	if (task->number < 0 && task->arrays) __tmebox_pages_put(task->arrays, task->array_pages);
	__asm__("stmxcsr %0; fnstcw %1" : "=m"(task->control_words[0]), "=m"(task->control_words[1]));
	return task->number < 0 ? task->number : 0;
}
#else
/* The first thing that a thread does, while its maker waits for it to come back. */
_Noreturn void __tmebox_run_task(struct task *task)
{
	__tmebox_switch(&task->rsp, __tmebox_task->rsp);
	__tmebox_finish_change();
	begin_own();
	task->entry(task->argument);
	__tmebox_end_task();
}

static long begin(struct task *task, unsigned long stack)
{
	__tmebox_begin(&__tmebox_task->rsp, stack, task);
	return 0;
}
#endif

HIDDEN int __tmebox_add_task(struct task *task, unsigned long stack)
{
	static int last_tid = 1;
	if (__tmebox_others >= MOST_THREADS - 1) return -EAGAIN;
	__tmebox_keep_turn();
	do last_tid = last_tid < 0x3ffffff ? last_tid + 1 : 2;
	while (__tmebox_find_task(last_tid));
	long failed = begin(task, stack);
	if (failed) {
		__tmebox_release_turn();
		return failed;
	}
	task->tid = last_tid;
	task->blocked = task->blocked_at_rest = __tmebox_kept.mask;
	task->next = __tmebox_task->next;
	task->previous = __tmebox_task;
	task->next->previous = task->previous->next = task;
	__tmebox_others++;
	__tmebox_turn_left = OPERATIONS;
	__tmebox_enqueue(task);
	__tmebox_release_turn();
	return task->tid;
}

/* -- time ---------------------------------------------------------------------------------------------------- */
HIDDEN long __tmebox_now_ns(void)
{
	struct timespec now;
	const long arguments[6] = { CLOCK_MONOTONIC, (long)&now };
	if (!__tmebox_clock(CLOCK_MONOTONIC, &now) && __tmebox_syscall(SYS_clock_gettime, arguments)) return 0;
	return now.tv_sec * SECOND_NS + now.tv_nsec;
}

/* Called once in a while. */
HIDDEN void __tmebox_look_at_the_clock(void)
{
	__tmebox_turn_left = OPERATIONS;
	if (!__tmebox_contended()) return;
	long now = __tmebox_now_ns();
	if (!__tmebox_slice_end_ns) __tmebox_slice_end_ns = now + SLICE_NS;
	if (now >= __tmebox_slice_end_ns) __tmebox_yield();
}

/* -- waiting ------------------------------------------------------------------------------------------------- */
/* Who waits for descriptors or a time: wake those who need not any more. Waits itself where nobody can run. */
static void look_outside(int may_wait)
{
	static struct pollfd wanted[1024];
	size_t count = 0;
	long now = __tmebox_now_ns(), first = __tmebox_timer_due_ns;
	struct task *task = __tmebox_task;
	do {
		if (!task->waiting) continue;
		if (task->deadline_ns && (!first || task->deadline_ns < first)) first = task->deadline_ns;
		for (size_t i = 0; i < task->want_count && count < sizeof wanted / sizeof *wanted; i++) {
			wanted[count++] = (struct pollfd){ task->wants[i].fd, task->wants[i].events, 0 };
		}
	} while ((task = task->next) != __tmebox_task);
	if (may_wait && !first && !count) __tmebox_deadlock(NULL, __tmebox_queue != NULL);
	long left = !may_wait ? 0 : !first ? 1L << 40 : first > now ? first - now : 0;
	if (count) {
		long limit = (left + MILLISECOND_NS - 1) / MILLISECOND_NS;
		const long arguments[6] = { (long)wanted, count, limit < INT_MAX ? limit : INT_MAX };
		if (__tmebox_syscall(SYS_poll, arguments) < 0) count = 0;
	} else if (left) {
		struct timespec time = { left / SECOND_NS, left % SECOND_NS };
		const long arguments[6] = { (long)&time };
		__tmebox_syscall(SYS_nanosleep, arguments);
	}
	now = looked_ns = __tmebox_now_ns();
	size_t at = 0;
	do {
		if (!task->waiting) continue;
		int ready = 0;
		for (size_t i = 0; i < task->want_count && at < count; i++) ready |= wanted[at++].revents;
		if (ready) __tmebox_wake(task, 0);
		else if (task->deadline_ns && now >= task->deadline_ns) __tmebox_wake(task, -ETIMEDOUT);
	} while ((task = task->next) != __tmebox_task);
}

HIDDEN void __tmebox_look_outside_by_now(void)
{
	if (__tmebox_waiting_outside && __tmebox_now_ns() - looked_ns >= LOOK_NS) look_outside(0);
}

/* Run others until the running thread is in the queue and its turn comes; or for good. */
static void run_others(void)
{
	struct task *task;
	if (__tmebox_queue) __tmebox_look_outside_by_now();
	while (!(task = __tmebox_take_first())) {
#ifdef __tmebox_twin__
		__tmebox_let_turns_be();
#endif
		/* No handler lets a sleep go on. */
		int sleeps = !__tmebox_task->word && !__tmebox_task->want_count;
		unsigned long *handlers = sleeps ? &__tmebox_handled : &__tmebox_interruptions, before = *handlers;
		look_outside(1);
		__tmebox_look_at_timers();
		if (*handlers != before) __tmebox_wake(__tmebox_task, -EINTR);
	}
	limit_turn();
	change_to(task);
}

HIDDEN void __tmebox_yield(void)
{
	if (!__tmebox_contended()) return;
	__tmebox_enqueue(__tmebox_task);
	run_others();
	__tmebox_take_signals();
}

/* Let others run until there is a reason to go on: 0 for `word` being woken or a descriptor that is ready, -ETIMEDOUT,
   -EINTR. */
HIDDEN long __tmebox_wait(volatile int *word, const struct pollfd *wants, size_t count, long deadline_ns)
{
	struct task *self = __tmebox_task;
	if (self->signals & ~__tmebox_kept.mask) {
		__tmebox_take_signals();
		return -EINTR;
	}
	self->word = word;
	self->wants = wants;
	self->want_count = count;
	self->deadline_ns = deadline_ns;
	self->since = ++waits;
	self->waiting = 1;
	__tmebox_waiting_outside += count || deadline_ns;
	run_others();
	self->word = NULL;
	__tmebox_take_signals();
	return self->result;
}

/* -- a thread's end ------------------------------------------------------------------------------------------ */
HIDDEN void __tmebox_unmap_later(unsigned long start, size_t length)
{
	__tmebox_keep_turn(); /* it stands on that stack, and never comes back */
	unmap_start = start;
	unmap_length = length;
}

HIDDEN _Noreturn void __tmebox_end_task(void)
{
	__tmebox_keep_turn();
	struct task *self = __tmebox_task;
	if (self->clear_at_exit) {
		*self->clear_at_exit = 0;
		struct task *next = __tmebox_waiting_longest_at(self->clear_at_exit);
		if (next) __tmebox_wake(next, 0);
	}
	self->over = 1;
	ended = self;
#ifdef __tmebox_twin__
	ends = 1 + (__tmebox_ends_handler ? __tmebox_ends_handler(self) : 0);
#endif
	run_others();
	__builtin_trap();
}
