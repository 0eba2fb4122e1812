/* One call through what moves a control stack: frames, jumps over them, turns of threads, calls of the host. */
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>

int hop(int value);

static sem_t wanted, done;
static pthread_t thread;
static volatile int shared;

static void *serves(void *argument)
{
	for (;;) {
		sem_wait(&wanted);
		shared = shared * 3 + 1;
		sem_post(&done);
	}
	return argument;
}

int prepare(void)
{
	sem_init(&wanted, 0, 0);
	sem_init(&done, 0, 0);
	return pthread_create(&thread, NULL, serves, NULL);
}

static jmp_buf buffer;
static __attribute__((noinline)) int falls(int depth, int value)
{
	volatile int kept = value + depth;
	if (!depth) longjmp(buffer, value);
	return falls(depth - 1, kept) + kept;
}

static __attribute__((noinline)) int leaps(int value)
{
	volatile int before = value;
	int number = setjmp(buffer);
	return number ? number * 2 + before : falls(3, value + 1);
}

int victim(int round)
{
	shared = round;
	int sum = leaps(round + 1);
	sem_post(&wanted);
	sem_wait(&done);
	sum += shared;
	sum += hop(sum & 15);
	return sum + leaps(round + 2);
}

/* What a handler would do, if it could come in. */
void scribble(unsigned long value, int words)
{
	volatile unsigned long *from = (unsigned long *)__builtin_frame_address(0);
	for (int i = 1; i < words; i++) from[-i - 64] = value;
}
