/* Threads that lie to the scheduler, which is their own: forged stacks and frames, turns in the wrong places. */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned long word;

int host_call(int number);

/* The scheduler's own, which any code of the module can name. With the base in r15 threads are where a saved stack pointer
   is; otherwise the core knows them by numbers. */
#ifdef __tmebox_r15__
void __tmebox_switch(word *from, word to);
void __tmebox_begin(word *from, word stack, void *task);
#else
void __tmebox_switch(word *from, word number, word ends);
#endif
extern char __tmebox_first_task[512];
extern struct __pthread *__tmebox_self;
extern word __tmebox_thread_offset;

static pthread_t thread;
static sem_t wanted, done;
static __thread int counter = 1;
static word mine;
static word forged[16] __attribute__((aligned(64)));

int alive(void) { return 42; }
word text(void) { return (word)alive; }

#ifdef __tmebox_r15__
/* -- a stack that was never saved ------------------------------------------------------------------------------ */
long go_on_at(word rsp) { __tmebox_switch(&mine, rsp); return 1; }
long go_on_to(word target)
{
	memset(forged, 0, sizeof forged);
	forged[0] = 0x37f00001f80;
	forged[7] = target;
	__tmebox_switch(&mine, (word)forged);
	return 1;
}
long begin_at(word stack) { __tmebox_begin(&mine, stack, &mine); return 1; }
long control_words(word words)
{
	memset(forged, 0, sizeof forged);
	forged[0] = words;
	forged[7] = 8;
	__tmebox_switch(&mine, (word)forged);
	return 1;
}
#else
/* -- a number that was never given ------------------------------------------------------------------------------ */
long go_on_at(word number) { __tmebox_switch(&mine, number, 0); return 1; }
long end_for(word number) { __tmebox_switch(&mine, number, 1); return 1; }
#endif

/* -- another thread's frames ----------------------------------------------------------------------------------- */
static word *victim;
static void *waits(void *argument)
{
	word here[4] = { 0x1234567, 2, 3, 4 };
	victim = here;
	sem_post(&done);
	sem_wait(&wanted);
	return (void *)(here[0] + (word)argument);
}

/* Every word of its stack that could be a return address becomes `target`, while it waits. */
long smash(word target)
{
	sem_init(&wanted, 0, 0);
	sem_init(&done, 0, 0);
	if (pthread_create(&thread, NULL, waits, NULL)) return -1;
	sem_wait(&done);
	for (word *at = victim - 128; at < victim + 64; at++)
		if (*at >= 0x40000000 && *at < 0x7fff0000) *at = target;
	sem_post(&wanted);
	void *result;
	pthread_join(thread, &result);
	return (long)result;
}

/* Return addresses of one frame in the place of another's: return sites, but wrong ones. */
long shuffle(int seed)
{
	sem_init(&wanted, 0, 0);
	sem_init(&done, 0, 0);
	if (pthread_create(&thread, NULL, waits, NULL)) return -1;
	sem_wait(&done);
	word found[256], *places[256];
	int count = 0;
	for (word *at = victim - 128; at < victim + 64; at++)
		if (*at >= 0x40000000 && *at < 0x7fff0000) places[count] = at, found[count++] = *at;
	srand(seed);
	for (int i = 0; i < count; i++) *places[i] = found[rand() % count];
	sem_post(&wanted);
	pthread_join(thread, NULL);
	return count;
}

/* All of its memory near there, while it waits. */
long paint_thread(word target)
{
	sem_init(&wanted, 0, 0);
	sem_init(&done, 0, 0);
	if (pthread_create(&thread, NULL, waits, NULL)) return -1;
	sem_wait(&done);
	for (word *at = victim - 128; at < victim + 8; at++) *at = target;
	sem_post(&wanted);
	void *result;
	pthread_join(thread, &result);
	return (long)result;
}

/* -- longjmp into another thread ------------------------------------------------------------------------------- */
static jmp_buf buffer;
static volatile int jumped;
static void *jumps(void *argument)
{
	if (setjmp(buffer)) jumped++;
	sem_post(&done);
	sem_wait(&wanted);
	return argument;
}
long jump_across(void)
{
	sem_init(&wanted, 0, 0);
	sem_init(&done, 0, 0);
	pthread_create(&thread, NULL, jumps, NULL);
	sem_wait(&done);
	if (jumped < 3) longjmp(buffer, 1);
	return jumped;
}

/* -- turns in the middle of the host's calls ------------------------------------------------------------------- */
static word outer;
#ifdef __tmebox_r15__
static void leave_for(word *from, word to) { __tmebox_switch(from, to); }
static word first(void) { return *(word *)__tmebox_first_task; }
#else
static void leave_for(word *from, word to) { (void)to; __tmebox_switch(from, from == &outer ? 1 : 0, 0); }
static word first(void) { return 0; }
#endif
long call_and_be_called(int number) { return host_call(number) + 1000; }
/* Called by the host's function: goes on where the call below it was left, as far as it can. */
long inner_leaves(void)
{
	leave_for(&mine, outer);
	return 7;
}
static void *in_thread(void *argument) { return (void *)(long)host_call(*(int *)argument); }
long call_in_thread(int number)
{
	if (pthread_create(&thread, NULL, in_thread, &number)) return -1;
	memset(__tmebox_first_task + 128, 0, 64);
	leave_for(&outer, first());
	void *result = NULL;
	pthread_join(thread, &result);
	return (long)result;
}
/* From a call of the host's in a thread: back to the first thread, which returns from a call that is not the innermost. */
long return_first(void)
{
	for (word at = 0; at < 400; at += 8) (void)*(volatile word *)(__tmebox_first_task + at);
	leave_for(&mine, first());
	return 9;
}

/* -- signal handlers ------------------------------------------------------------------------------------------- */
static void switches(int signal) { sched_yield(); pthread_exit((void *)(word)signal); }
static void *raises(void *argument) { raise(SIGUSR1); return argument; }
long in_handlers(void)
{
	void *result = NULL;
	signal(SIGUSR1, switches);
	pthread_create(&thread, NULL, raises, NULL);
	pthread_join(thread, &result);
	return (long)result;
}

/* -- everything at once ---------------------------------------------------------------------------------------- */
static void *counts(void *argument)
{
	for (;;) {
		sem_wait(&wanted);
		counter += 1 + !argument;
		sem_post(&done);
	}
	return argument;
}
long begin(int count)
{
	sem_init(&wanted, 0, 0);
	sem_init(&done, 0, 0);
	while (count--)
		if (pthread_create(&thread, NULL, counts, NULL)) return -1;
	for (int i = 0; i < 10; i++) sched_yield();
	return 0;
}
long ask(void)
{
	sem_post(&wanted);
	sem_wait(&done);
	return counter;
}
static __attribute__((noinline)) int deep(int n)
{
	volatile int kept = n;
	if (!n) {
		sem_post(&done);
		sem_wait(&wanted);
		return 0;
	}
	return deep(n - 1) + kept - n + 1;
}
static void *is_deep(void *argument) { return (void *)(long)deep((int)(long)argument); }
long stand_deep(int depth)
{
	sem_init(&wanted, 0, 0);
	sem_init(&done, 0, 0);
	if (pthread_create(&thread, NULL, is_deep, (void *)(long)depth)) return -1;
	return sem_wait(&done);
}
long come_up(void)
{
	void *result = NULL;
	sem_post(&wanted);
	pthread_join(thread, &result);
	return (long)result;
}
static void *traps(void *argument) { *(volatile int *)0 = 1; return argument; }
long trap_in_thread(void)
{
	if (pthread_create(&thread, NULL, traps, NULL)) return -1;
	return pthread_join(thread, NULL);
}
word descriptor(void) { return (word)thread; }
word scheduler(void) { return (word)__tmebox_first_task; }
