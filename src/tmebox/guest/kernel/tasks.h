/* Threads that take turns: what the files of the scheduler share.

   All of it is code and data of the sandbox. A thread is a stack somewhere in the sandbox's private memory, and a
   saved stack pointer. Changing threads is what longjmp does: rsp is rebased, a return is checked. It happens in calls
   of the C library only, so never between two instructions that are safe only together.

   With control stacks, the core lets a call return to where another thread stands. It also interrupts a thread that runs
   for too long, and lets the keeper go on instead: see keeper.c. */
#pragma once

#include <poll.h>
#include <stddef.h>

#include "kernel.h"

enum { THREAD_NAME = 16, MOST_THREADS = 1024, CALL_LEVELS = 256, CALL_WEIGHT = 8 };

struct task {
	unsigned long rsp;		/* an offset: where `__tmebox_switch` left what it saved. Read by the host, too */
	struct task *next, *previous;	/* all that live, in a ring */
	struct task *after;		/* in the queue of those that could run */
	void *descriptor;		/* its struct __pthread */
	unsigned long variables;	/* how far its thread-local variables are from the first thread's */
	unsigned long stack_low;	/* 0: the host looks after its stack */
	unsigned long guard;		/* bytes below the stack that stay zero */
	volatile int *word;		/* the futex it waits at */
	const struct pollfd *wants;	/* descriptors, any of which it waits for */
	size_t want_count;
	long deadline_ns;		/* when it stops waiting; 0: never */
	unsigned long since;		/* whoever has waited longest is woken first */
	long result;			/* why it was woken */
	unsigned long blocked;		/* its signal mask, while another runs */
	unsigned long signals;		/* sent to it alone, while another ran */
	int tid;
	int levels;			/* calls of the host's that it is in */
	long number;			/* of its control stack, which the core has; the first thread's is 0 */
	unsigned control_words[2];	/* MXCSR and x87's, to begin with */
	unsigned long arrays;		/* where those without constant sizes are, and how many pages that is */
	size_t array_pages;
	char waiting;			/* it waits for `word`, `wants` or `deadline_ns` */
	char over;			/* it will not run again */
	char name[THREAD_NAME];
	char interrupted;		/* it stands between any two instructions: only the keeper lets it go on */
	int (*entry)(void *);
	void *argument;
	volatile int *clear_at_exit;
	unsigned long blocked_at_rest;	/* and what that is at rest */
};

_Static_assert(offsetof(struct task, tid) == TMEBOX_TASK_NUMBER && offsetof(struct task, name) == TMEBOX_TASK_NAME &&
		       THREAD_NAME == TMEBOX_TASK_NAME_BYTES, "the host reads them");

/* One row of what the host is told when all threads stand still. */
struct standing {
	unsigned long tid, rsp, waits_at;
	char name[THREAD_NAME];
};

/* turn.c: what is in every program. */
extern HIDDEN unsigned __tmebox_others; /* threads beside the one that runs */
extern HIDDEN struct task __tmebox_first_task, *__tmebox_task;
extern HIDDEN struct task *__tmebox_queue;	 /* those that could run */
extern HIDDEN unsigned __tmebox_waiting_outside; /* threads that wait for descriptors or a time */
extern HIDDEN int __tmebox_turn_left;
HIDDEN void __tmebox_turn_over(void);

/* Whether anybody else could run, now or by itself later. */
static inline int __tmebox_contended(void)
{
	return __tmebox_queue || __tmebox_waiting_outside;
}

/* switch.S. Each pushes what functions keep, and puts rsp into `*from`. */
#ifdef __tmebox_twin__
void __tmebox_switch(unsigned long *from, long to, long ends);
#else
void __tmebox_switch(unsigned long *from, unsigned long to);
void __tmebox_begin(unsigned long *from, unsigned long stack, struct task *task);
#endif
_Noreturn void __tmebox_stand_still(unsigned long *from);

/* scheduler.c */
extern HIDDEN long __tmebox_slice_end_ns;
HIDDEN void __tmebox_enqueue(struct task *task);
HIDDEN struct task *__tmebox_take_first(void);
HIDDEN void __tmebox_finish_change(void);
HIDDEN void __tmebox_run_as(struct task *task);
HIDDEN void __tmebox_look_outside_by_now(void);
HIDDEN long __tmebox_now_ns(void);
HIDDEN void __tmebox_yield(void);
HIDDEN long __tmebox_wait(volatile int *word, const struct pollfd *wants, size_t count, long deadline_ns);
HIDDEN void __tmebox_wake(struct task *task, long result);
HIDDEN struct task *__tmebox_waiting_longest_at(const volatile int *word);
HIDDEN struct task *__tmebox_find_task(int tid);
HIDDEN int __tmebox_add_task(struct task *task, unsigned long stack);
HIDDEN _Noreturn void __tmebox_end_task(void);
HIDDEN void __tmebox_unmap_later(unsigned long start, size_t length);

/* keeper.c */
#ifdef __tmebox_twin__
long __tmebox_ask_core(long number, unsigned long a, unsigned long b, unsigned long c) __asm__("__tmebox_syscall");
HIDDEN int __tmebox_has_keeper(void);
HIDDEN long __tmebox_begin_helper(void (*function)(long, long, long), size_t pages, unsigned long *low);
HIDDEN void __tmebox_limit_turns(void);
HIDDEN void __tmebox_let_turns_be(void);
HIDDEN void __tmebox_go_on_interrupted(struct task *task, unsigned long *from, long ends);
#endif

/* handlers.c: of programs that set timers. */
HIDDEN int __tmebox_lends_stack(struct task *task);
HIDDEN long __tmebox_ends_handler(struct task *task);

/* deadlock.c */
HIDDEN _Noreturn void __tmebox_deadlock(volatile int *word, int below);
HIDDEN _Noreturn void __tmebox_stack_overflow(void);

/* waiting.c: a system call while other threads live. */
HIDDEN long __tmebox_call_in_turn(long number, const long arguments[6]);
