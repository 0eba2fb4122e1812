/* Threads without the C library's scheduler: a keeper of turns that does with interrupted threads what it likes. */
#include <string.h>

typedef unsigned long word;
struct answer { long result; word more; };
struct answer core(word number, word a, word b, word c) __asm__("__tmebox_syscall");
void __tmebox_switch(word *from, word number, word ends);
int host_call(int number);

enum { LONGJMP = 0x746d6510, READ_STACK, BEGIN_THREAD, SWITCH_THREAD, SLICES };
enum { KEEPER = 1, WORKER, STACK = 65536 };
enum { BACK, OVER_WORKER, ENDS, ITSELF, PAINTS, JUMPS, READS, RETURNS, CALLS, STAYS, TWICE, BEGINS, FAULTS, DIGS };

static char stacks[2][STACK] __attribute__((aligned(4096)));
volatile long woken, worked, readable, refused;
static volatile int mode, goes_back;
static volatile word first_rsp;
static word unused;

int alive(void) { return 42; }
word text(void) { return (word)&alive; }
long readable_words(void) { return readable; }

static void change_to(word number) { __tmebox_switch(&unused, number, 0); }

static __attribute__((noinline)) int dig(volatile int depth) {
  volatile char room[200];
  room[depth % 200] = 1;
  return dig(depth + 1) + room[7];
}

/* Where `rsp` is, as an offset: a little lower in what is called. */
static word here(void) {
  unsigned rsp;
  __asm__ volatile("leal (%%rsp), %0" : "=r"(rsp));
  return rsp;
}

static void act(void) {
  word wanted[3] = { first_rsp | (word)&alive << 32, 1, 2 };
  switch (mode) {
  case OVER_WORKER: change_to(WORKER); break;
  case ENDS: __tmebox_switch(&unused, 0, 1); break;
  case ITSELF: change_to(KEEPER); break;
  case PAINTS: memset((void *)(first_rsp - 4096), 0xee, 4096 + 64); break;
  case JUMPS:
    for (int i = -64; i < 64; i++) {
      wanted[0] = (first_rsp + 8 * i) | (word)&alive << 32;
      if (core(LONGJMP, (word)wanted, 0, 0).result) refused++;
    }
    break;
  case READS:
    for (word offset = first_rsp - 4096; offset < first_rsp + 4096; offset += 8) readable += !core(READ_STACK, offset, 0, 0).result;
    break;
  case RETURNS: return;
  case CALLS: host_call(1); break;
  case STAYS: for (;;) {}
  case TWICE: break;
  case BEGINS: core(BEGIN_THREAD, (word)&alive, first_rsp - 8192, first_rsp + 64); break;
  case FAULTS: *(volatile int *)8 = 1; break;
  case DIGS: dig(0); break;
  }
}

static void keep(void) {
  for (;;) {
    woken++;
    act();
    if (mode == RETURNS) return;
    change_to(0);
  }
}

static volatile int worker_faults;

static void work(void) {
  for (;;) {
    worked++;
    if (worker_faults) *(volatile int *)8 = 1;
    if (mode == TWICE) { /* the first is where it is once: it runs, and has gone on from there */
      change_to(0);
    }
    if (mode == OVER_WORKER) change_to(0);
  }
}

static int is_begun;
static void begin(void) {
  if (is_begun) return;
  is_begun = 1;
  if (core(BEGIN_THREAD, (word)keep, (word)stacks[0], (word)stacks[0] + STACK).result != KEEPER) __builtin_trap();
  if (core(BEGIN_THREAD, (word)work, (word)stacks[1], (word)stacks[1] + STACK).result != WORKER) __builtin_trap();
}

/* Runs until the keeper has gone on so often. */
long spin(int what, long times) {
  begin();
  first_rsp = here();
  mode = what;
  woken = worked = 0;
  core(SLICES, 1, 0, 0);
  while (woken < times) {}
  core(SLICES, 0, 0, 0);
  return woken;
}

/* Comes back while the worker stands between two of its instructions. */
long leave_worker(void) {
  begin();
  mode = BACK;
  core(SLICES, 1, 0, 0);
  change_to(WORKER);
  return worked;
}

/* The worker goes on where it was interrupted, and traps, or never ends. */
long worker_dies(int faults) {
  leave_worker();
  worker_faults = faults;
  core(SLICES, 0, 0, 0);
  change_to(WORKER);
  return worked;
}

/* In a call within the keeper's. */
long goes_on(word number) { change_to(number); return 5; }

/* -- a worker that holds a number where only the core can see it --------------------------------------------------- */
static volatile word held;
void hold_in_register(void);
void hold_on_stack(void);
__asm__(".text\n.type hold_in_register,@function\nhold_in_register:\n"
        "movq held, %r12\nmovl $1, worked\n1: jmp 1b\n.size hold_in_register,.-hold_in_register\n"
        ".type hold_on_stack,@function\nhold_on_stack:\n"
        "movq held, %r12\npushq %r12\npopq %r12\nxorl %r12d, %r12d\nmovl $1, worked\n1: jmp 1b\n"
        ".size hold_on_stack,.-hold_on_stack\n");

long leave_holder(word number, int on_stack) {
  static char stack[STACK] __attribute__((aligned(4096)));
  held = number;
  begin();
  mode = BACK;
  worked = 0;
  void (*function)(void) = on_stack ? hold_on_stack : hold_in_register;
  long holder = core(BEGIN_THREAD, (word)function, (word)stack, (word)stack + STACK).result;
  core(SLICES, 1, 0, 0);
  change_to(holder);
  held = 0;
  return worked;
}

/* -- recursion that is interrupted where the stack ends -------------------------------------------------------------- */
long dig_and_spin(void) {
  begin();
  mode = BACK;
  core(SLICES, 1, 0, 0);
  return dig(0);
}
