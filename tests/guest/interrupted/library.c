/* What the C library shares between threads: its allocator, streams, locks, atomics. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned long word;
enum { THREADS = 4 };

static volatile int over, last;
volatile long turns, wrong;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long locked, done;
static _Atomic long counted;
static _Atomic __int128 wide;
static struct triple { long a, b, c; } _Atomic triple; /* without padding, which is compared, too */
static __thread long own;

static void note(int me) {
  if (last != me) turns++;
  last = me;
}

static void *work(void *argument) {
  int me = (int)(word)argument;
  char *blocks[32] = { 0 };
  unsigned sizes[32] = { 0 }, seed = me * 77777;
  long mine = 0;
  while (!over) {
    seed = seed * 1103515245 + 12345;
    unsigned i = seed >> 8 & 31, size = seed >> 13 & (seed & 64 ? 0x3fff : 0xff);
    if (blocks[i]) {
      for (unsigned n = 0; n < sizes[i]; n++) if (blocks[i][n] != (char)(me + i)) wrong++;
    }
    if (seed & 128) {
      blocks[i] = realloc(blocks[i], size + 1);
    } else {
      free(blocks[i]);
      blocks[i] = seed & 256 ? calloc(1, size + 1) : aligned_alloc(64, size + 1);
    }
    if (!blocks[i]) wrong++;
    else memset(blocks[i], me + i, sizes[i] = size);
    pthread_mutex_lock(&mutex);
    locked++;
    done++;
    pthread_mutex_unlock(&mutex);
    atomic_fetch_add(&counted, 1);
    wide += 1;
    struct triple old = triple, new;
    do new = (struct triple){ old.a + 1, old.b + 2, old.c + 3 };
    while (!atomic_compare_exchange_weak(&triple, &old, new));
    char text[40];
    if (snprintf(text, sizeof text, "%d %ld %.3f", me, mine, mine / 8.0) < 0 || atoi(text) != me) wrong++;
    mine++;
    own++;
    note(me);
  }
  if (own != mine) wrong++;
  for (int i = 0; i < 32; i++) free(blocks[i]);
  return (void *)mine;
}

/* Threads that come and go beside the others. */
static void *passes(void *argument) { own = 5; return malloc((word)argument); }

long share(long wanted) {
  static long sum; /* of all calls, as what is counted is */
  pthread_t threads[THREADS];
  for (word i = 0; i < THREADS; i++) pthread_create(&threads[i], 0, work, (void *)(i + 1));
  while (turns < wanted) {
    pthread_t thread;
    void *block;
    if (pthread_create(&thread, 0, passes, (void *)100)) { wrong++; continue; }
    pthread_join(thread, &block);
    free(block);
  }
  over = 1;
  for (int i = 0; i < THREADS; i++) {
    void *mine;
    pthread_join(threads[i], &mine);
    sum += (long)mine;
  }
  struct triple all = triple;
  if (locked != sum || counted != sum || (long)wide != sum) wrong++;
  if (all.a != sum || all.b != 2 * sum || all.c != 3 * sum) wrong++;
  over = 0;
  turns = 0;
  return wrong;
}
