/* What the core does for stacks, asked for by hand: jumps, words of the stack, threads. All of it is forged. */
#include <setjmp.h>
#include <string.h>

typedef unsigned long word;
struct answer { long result; word more; };
struct answer core(word number, word a, word b, word c) __asm__("__tmebox_syscall");
int host_call(int number);

enum { LONGJMP = 0x746d6510, READ_STACK, BEGIN_THREAD, SWITCH_THREAD };

int alive(void) { return 42; }
word text(void) { return (word)&alive; }

/* -- one at a time ------------------------------------------------------------------------------------------------- */
long ask(word number, word a, word b, word c) { return core(number, a, b, c).result; }
word read_word(word offset) {
  struct answer answer = core(READ_STACK, offset, 0, 0);
  return answer.result ? ~0ul : answer.more;
}
/* Of rsp, as an offset: that of a host call is a little less. */
word here(void) {
  unsigned rsp;
  __asm__ volatile("leal (%%rsp), %0" : "=r"(rsp));
  return rsp;
}
static word wanted[3];
long jump(word where, word rax, word rdx) {
  wanted[0] = where;
  wanted[1] = rax;
  wanted[2] = rdx;
  long result = core(LONGJMP, (word)wanted, 0, 0).result;
  wanted[0] = 0; /* no tail call */
  return result;
}
long jump_by(word pointer) { return core(LONGJMP, pointer, 0, 0).result; }

/* -- buffers ----------------------------------------------------------------------------------------------------------- */
static jmp_buf buffer;
int times;
/* 7, by its own buffer with one of its words changed: a word is what it was if and-ed, xor-ed so. */
__attribute__((noinline)) int jump_forged(int index, word and, word xor) {
  times = 0;
  if (setjmp(buffer)) return ++times == 1 ? 7 : 8;
  word *words = (word *)&buffer;
  words[index] = (words[index] & and) ^ xor;
  longjmp(buffer, 1);
}
int words_of_buffer(void) { return (int)(sizeof buffer) / (int)sizeof(word); }
static __attribute__((noinline)) void remember(void) {
  char frame[64];
  __asm__ volatile("" : : "r"(frame) : "memory");
  if (setjmp(buffer)) times++;
}
static __attribute__((noinline)) int leaps(void) {
  if (times < 3) longjmp(buffer, 1);
  return times;
}
/* Into a function that has returned, while another one has its place. */
int jump_to_the_dead(void) {
  times = 0;
  remember();
  return leaps();
}
/* The same from above. */
int jump_down(void) {
  times = 0;
  remember();
  if (times < 3) longjmp(buffer, 1);
  return times;
}
/* To a frame of the call that this one came from, over the host's. */
int jump_over_the_host(int depth) {
  times = 0;
  if (setjmp(buffer)) return 99;
  return host_call(depth);
}
int inner_jumps(void) { longjmp(buffer, 1); }
int goes_deeper(int depth) { return depth ? goes_deeper(depth - 1) + host_call(depth - 1) : 1; }

/* -- threads by hand ----------------------------------------------------------------------------------------------------- */
static void ends(void) { for (;;) core(SWITCH_THREAD, 0, 0, 0); }
long begin(word low, word top) { return core(BEGIN_THREAD, (word)&ends, low, top).result; }
static void returns(void) { times++; }
/* A thread whose first function returns. */
long begin_what_returns(word low, word top) {
  long number = core(BEGIN_THREAD, (word)&returns, low, top).result;
  if (number > 0) core(SWITCH_THREAD, number, 0, 0);
  return number;
}
static word number_of_caller;
static void calls_the_host(void) {
  host_call((int)number_of_caller);
  ends();
}
/* A call of the host's in a thread; what it calls again goes elsewhere. */
long call_in_thread(word low, word top, int number) {
  number_of_caller = number;
  long thread = core(BEGIN_THREAD, (word)&calls_the_host, low, top).result;
  return thread > 0 ? core(SWITCH_THREAD, thread, 0, 0).result : thread;
}
long go(word number, word has_ended) { return core(SWITCH_THREAD, number, has_ended, 0).result; }

/* -- all at random ------------------------------------------------------------------------------------------------------ */
enum { ROOM = 16 << 20, STACK = 1 << 16, BUFFERS = 16 };
static char room[ROOM];
static jmp_buf buffers[BUFFERS];
static word state;
static word next(void) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}
static long made, left;
word where_made(void) { return (word)&made; }
static void wander(void);

static word number(void) {
  switch (next() % 8) {
    case 0: return next();
    case 1: return (unsigned)next();
    case 2: return next() % 4;
    case 3: return -(next() % 64);
    case 4: return here() + next() % 512 * 8 - 1024;
    case 5: return (word)room + next() % ROOM / 8 * 8;
    case 6: return (word)&alive + next() % 4096;
    default: return 1ul << next() % 64;
  }
}
/* Mostly to where it may lead: frames that live, or lie where one lives. */
static void leap(void) {
  word *one = (word *)buffers[next() % BUFFERS], *other = (word *)buffers[next() % BUFFERS];
  if (!one[6]) return;
  switch (next() % 64) {
    case 0: one[6] = (one[6] & 0xffffffff) | (other[6] >> 32 << 32); break;
    case 1: one[6] += 8 * (next() % 64); break;
    case 2: one[next() % 8] ^= 1ul << next() % 64; break;
    case 3: one = (word *)number(); break;
  }
  longjmp((void *)one, (int)next());
}
static __attribute__((noinline)) word one(void) {
  made++;
  left--;
  switch (next() % 16) {
    case 0: return next() % 4 ? core(number(), number(), number(), number()).result : 0;
    case 1: return next() % 64 ? 0 : core(LONGJMP, number(), number(), number()).result;
    case 2: return core(READ_STACK, number(), 0, 0).result;
    case 3: return core(READ_STACK, here() + next() % 512 * 8, 0, 0).more;
    case 4: return core(BEGIN_THREAD, number(), number(), number()).result;
    case 5: {
      word from = (word)room + next() % (ROOM / STACK) * STACK + (next() % 16 ? 0 : next() % STACK);
      return core(BEGIN_THREAD, next() % 16 ? (word)&wander : number(), from, from + STACK).result;
    }
    case 6:
    case 7:
    case 8: return core(SWITCH_THREAD, next() % 32 ? next() % 12 : number(), next() % 4, 0).result;
    case 9: return host_call(next() % 32);
    case 10:
    case 11:
    case 12: leap();
  }
  return 0;
}
static __attribute__((noinline)) word deeper(int depth) {
  volatile word kept = next();
  if (next() % 2) setjmp(buffers[next() % BUFFERS]);
  word found = depth ? deeper(depth - 1) : one();
  return found + kept;
}
static void wander(void) {
  while (left > 0) deeper(next() % 8);
  for (;;) core(SWITCH_THREAD, next() % 12, next() % 4, 0);
}
long fuzz(word seed, long count) {
  state = seed | 1;
  left = count;
  while (left > 0) deeper(next() % 8);
  return made;
}
/* In a call inside of the host's. */
long step(void) { return deeper(next() % 8); }
