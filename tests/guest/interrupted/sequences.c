/* Work that consists of what the verifier only believes together: checked jumps and calls, tables, held bases, strings. Three
   threads do it at once, and each has to find what it finds alone. */
#include <pthread.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned long word;

static word add(word a, word b) { return a + b; }
static word twist(word a, word b) { return (a << 7 | a >> 57) ^ b; }
static word times(word a, word b) { return a * (b | 1); }
static word (*volatile functions[3])(word, word) = { add, twist, times };

static word by_table(word value) {
  switch (value % 11) {
  case 0: return value + 3;
  case 1: return value * 5;
  case 2: return ~value;
  case 3: return value ^ 0x1234567;
  case 4: return value - 77;
  case 5: return value << 3;
  case 6: return value >> 2;
  case 7: return value * value;
  case 8: return value + (value >> 9);
  case 9: return value ^ value << 13;
  }
  return value | 64;
}

static word by_label(word value) {
  static void *const labels[] = { &&zero, &&one, &&two, &&three };
  for (int i = 0; i < 8; i++) {
    goto *labels[value & 3];
  zero: value = value * 3 + 1; continue;
  one: value = (value >> 1) ^ 0x9e3779b97f4a7c15; continue;
  two: value += value >> 17; continue;
  three: value ^= value << 5;
  }
  return value;
}

struct node { struct node *next; word value; };

static word by_list(struct node *node) {
  word sum = 0;
  for (; node; node = node->next) sum = sum * 31 + node->value;
  return sum;
}

static double by_floats(double x) {
  for (int i = 0; i < 20; i++) x = x * 1.0000001 + 0.5 / (x + 1);
  return x;
}

static __attribute__((noinline)) word deep(word value, int depth) {
  volatile word here[5] = { value, value + 1, value + 2 };
  return depth ? deep(here[depth % 3] * 3, depth - 1) + here[1] : here[2];
}

static __attribute__((noinline)) void leap(jmp_buf to, int depth, int value) {
  volatile char room[24] = { (char)value };
  if (depth == 0) longjmp(to, value | 1);
  leap(to, depth - 1, value + room[3]);
  room[5] = 1;
}

static __attribute__((noinline)) int by_jump(int value) {
  jmp_buf here;
  int came = setjmp(here);
  if (!came) leap(here, value & 7, value & 0xffff);
  return came;
}

static word round_of(word seed) {
  static const char text[] = "the same bytes for everybody, long enough for more than one way to copy them";
  char room[600] = { 0 }, other[600];
  struct node nodes[8];
  double x = (double)(seed % 1000);
  for (int i = 0; i < 40; i++) {
    seed = functions[seed % 3](seed, i);
    seed = by_label(by_table(seed));
    memset(room, (int)seed, seed % sizeof room);
    memcpy(room + seed % 500, text, sizeof text);
    memmove(other, room + 3, sizeof other - 3);
    for (int n = 0; n < 8; n++) nodes[n] = (struct node){ n < 7 ? &nodes[n + 1] : 0, seed + n };
    seed ^= by_list(nodes) + (unsigned char)other[seed % 80];
    seed += deep(seed, 6);
    seed += by_jump((int)seed);
    x = by_floats(x);
    word *block = malloc(seed % 9000 + 8);
    block[0] = seed;
    seed = block[0] * 0x9e3779b97f4a7c15 + 1;
    free(block);
  }
  return seed + (word)(x * 1e6);
}

/* One instruction, which is interrupted in its middle. */
static char from[1 << 20];
static int by_string(char *to, int seed) {
  char *at = to;
  const char *source = from;
  word count = sizeof from;
  for (int i = 0; i < 4; i++) to[i << 18] = (char)~seed;
  __asm__ volatile("rep movsb" : "+D"(at), "+S"(source), "+c"(count) : : "memory");
  return count == 0 && at == to + sizeof from && memcmp(to, from, sizeof from) == 0;
}

enum { SEEDS = 64 };
static word right[SEEDS];
static volatile int over, last;
volatile long turns, rounds, wrong;

static void *work(void *argument) {
  int me = (int)(word)argument;
  char *room = malloc(sizeof from);
  for (word seed = (word)me; !over; seed++) {
    if (round_of(seed % SEEDS) != right[seed % SEEDS]) wrong++;
    if (seed % 16 == 0 && !by_string(room, (int)seed)) wrong++;
    rounds++;
    if (last != me) turns++;
    last = me;
  }
  free(room);
  return argument;
}

long agree(long wanted) {
  pthread_t threads[3];
  over = 0;
  turns = rounds = wrong = 0;
  for (unsigned i = 0; i < sizeof from; i++) from[i] = (char)(i * 2654435761u >> 24);
  for (word seed = 0; seed < SEEDS; seed++) right[seed] = round_of(seed);
  for (word i = 0; i < 3; i++) pthread_create(&threads[i], 0, work, (void *)(i + 1));
  while (turns < wanted) {}
  over = 1;
  for (int i = 0; i < 3; i++) pthread_join(threads[i], 0);
  return wrong;
}

/* -- the same, interrupted where a test wants: with a keeper of turns that only spoils what is in registers ----------- */
typedef struct { long result; word more; } answer;
answer core(word number, word a, word b, word c) __asm__("__tmebox_syscall");
void __tmebox_switch(word *from, word number, word ends);
enum { BEGIN_THREAD = 0x746d6512, SLICES = 0x746d6514, STACK = 65536 };

static char keepers_stack[STACK] __attribute__((aligned(4096)));
static volatile long woken;
long times_woken(void) { return woken; }

static void spoil(void) {
  for (;;) {
    word unused;
    woken++;
    __asm__ volatile("pcmpeqd %%xmm0, %%xmm0\nmovdqa %%xmm0, %%xmm1\nmovdqa %%xmm0, %%xmm5\nmovdqa %%xmm0, %%xmm9\n"
                     "movdqa %%xmm0, %%xmm15\nfld1\nfldpi\nfaddp\nfstp %%st(0)\n"
                     "movl $-1, %%eax\nmovl %%eax, %%ecx\nmovl %%eax, %%r8d\nmovl %%eax, %%r11d\naddl %%eax, %%eax\n"
                     : : : "memory", "cc", "rax", "rcx", "r8", "r11", "xmm0", "xmm1", "xmm5", "xmm9", "xmm15");
    __tmebox_switch(&unused, 0, 0);
  }
}

word alone(word seed) {
  static int begun;
  if (!begun && core(BEGIN_THREAD, (word)spoil, (word)keepers_stack, (word)keepers_stack + STACK).result != 1) __builtin_trap();
  begun = 1;
  core(SLICES, 1, 0, 0);
  word result = round_of(seed);
  core(SLICES, 0, 0, 0);
  return result;
}
