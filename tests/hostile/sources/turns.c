/* A thread whose memory another one changes while it is interrupted: what is checked, and then used. */
#include <pthread.h>

#include <string.h>

typedef unsigned long word;

volatile int escaped;
volatile long calls, changes;
static volatile word victims_stack;

int alive(void) { return 42; }
word text(void) { return (word)&alive; }
word where_escaped(void) { return (word)&escaped; }

/* Where calls may lead, and a place in a function where only its own jumps may. */
static __attribute__((noinline)) word good(word a) { return a * 3 + 1; }
static __attribute__((noinline)) word evil(word a) {
  static void *const labels[] = { &&one, &&two };
  if (a == ~0ul) return (word)labels[1];
  goto *labels[a & 1];
one: return a;
two: escaped = 1;
  return a + 1;
}
static word (*volatile function)(word);

static __attribute__((noinline)) word table(word value) {
  switch (value % 9) {
  case 0: return value + 3;
  case 1: return value * 5;
  case 2: return ~value;
  case 3: return value ^ 0x1234567;
  case 4: return value - 77;
  case 5: return value << 3;
  case 6: return value >> 2;
  case 7: return value * value;
  }
  return value | 64;
}

static void *changes_pointers(void *unused) {
  word bad = evil(~0ul), where = (word)unused;
  for (;; changes++) {
    function = (word (*)(word))(where ? where + (word)changes % 64 : bad);
    function = good;
  }
}

/* Calls by a pointer that has the other value for as long. */
long call_by_pointer(word where) {
  pthread_t thread;
  word sum = 1;
  function = good;
  pthread_create(&thread, 0, changes_pointers, (void *)where);
  for (;; calls++) sum = function(sum);
  return (long)sum;
}

static void *changes_stacks(void *unused) {
  word low = victims_stack - 20000, seed = (word)unused;
  for (;;) {
    seed = seed * 6364136223846793005 + 1;
    word *at = (word *)(low + (seed >> 40) % 20000 / 8 * 8);
    *at = seed & 1024 ? (word)evil(~0ul) : seed & 2048 ? seed : (word)&good;
    changes++;
  }
}

static __attribute__((noinline)) word works(word value, int depth) {
  word room[12];
  volatile int index = (int)(value % 12);
  word (*volatile here)(word) = good;
  for (int i = 0; i < 12; i++) room[i] = table(value + i);
  if (depth) room[index] += works(room[3], depth - 1);
  memmove(room + 1, room, sizeof *room * 8);
  return here(room[index]);
}

/* Works on a stack whose twin another thread writes. */
long work_on_stack(word seed) {
  pthread_t thread;
  volatile char here;
  word sum = seed;
  victims_stack = (word)&here;
  pthread_create(&thread, 0, changes_stacks, (void *)(seed | 1));
  for (int i = 0; i < 20000; i++) sum = works(sum, 12);
  return (long)sum;
}
