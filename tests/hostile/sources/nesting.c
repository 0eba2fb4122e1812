/* Calls inside of calls, each with jumps, threads and painted stacks of its own. */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>

typedef unsigned long word;
long hop(long depth);

int alive(void) { return 42; }

__attribute__((noinline)) static void paint(word value, int words) {
  word *here = __builtin_frame_address(0);
  for (int i = 4; i < words; i++) ((volatile word *)here)[-i] = value;
}

__attribute__((noinline)) static void jumps(jmp_buf buffer, int depth) {
  if (depth) jumps(buffer, depth - 1);
  longjmp(buffer, depth + 3);
}

static void *other(void *argument) {
  long sum = 0;
  for (long i = 0; i < (long)argument; i++) {
    sum += i;
    sched_yield();
  }
  return (void *)sum;
}

static sem_t turn;
static long from_thread;
static void *in_thread(void *argument) {
  from_thread = hop((long)argument);
  sem_post(&turn);
  return argument;
}

/* What the host answers to depth - 1, and 10; every third one from a thread. */
long nest(long depth) {
  jmp_buf buffer;
  volatile long result = depth;
  int number = setjmp(buffer);
  if (!number) {
    paint(0x4141414141414141, 200);
    jumps(buffer, (int)depth % 7);
  }
  if (number < 3) return -1;
  if (depth <= 0) return 1;
  if (depth % 5 == 0) {
    pthread_t thread;
    void *sum;
    if (pthread_create(&thread, 0, other, (void *)4)) return -2;
    pthread_join(thread, &sum);
    if ((long)sum != 6) return -3;
  }
  if (depth % 33 == 32) {
    pthread_t thread;
    sem_init(&turn, 0, 0);
    if (pthread_create(&thread, 0, in_thread, (void *)(depth - 1))) return -4;
    sem_wait(&turn);
    pthread_join(thread, 0);
    return from_thread + 10;
  }
  result = hop(depth - 1);
  if (result < 0) return result;
  return result + 10;
}
