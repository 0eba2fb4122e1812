/* The attacks on a stack that every textbook has. Each function writes to where its return address would be, and
   more; then it returns. smashing_arrays.c has those with arrays of variable size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef unsigned long word;

int visits;
int alive(void) { return 42; }
int visited(void) { return visits; }
int secret(void) { visits++; return 1234; }
word where_is_secret(void) { return (word)&secret; }
word frame(void) { return (word)__builtin_frame_address(0); }

static word pattern[4096];
static void fill(word target) {
  for (int i = 0; i < 4096; i++) pattern[i] = target;
}
/* So that the compiler believes in nothing that it knows of memory. */
__attribute__((noinline)) static void forget(volatile void *at) { __asm__ volatile("" : : "r"(at) : "memory"); }

/* -- from a buffer upwards --------------------------------------------------------------------------------------- */
__attribute__((noinline)) int by_memcpy(word target) {
  char buffer[16];
  fill(target);
  forget(buffer);
  memcpy(buffer, pattern, 512);
  forget(buffer);
  return 7;
}
__attribute__((noinline)) int by_a_loop(word target) {
  word buffer[2];
  forget(buffer);
  for (volatile int i = 0; i < 64; i++) buffer[i] = target;
  forget(buffer);
  return 7;
}
/* As gets() does: up to the end of the line, however long it is. */
__attribute__((noinline)) static void read_line(char *to, const char *line, int size) {
  while (size--) *to++ = *line++;
}
__attribute__((noinline)) int by_gets(word target) {
  char name[8];
  fill(target);
  forget(name);
  read_line(name, (const char *)pattern, 400);
  forget(name);
  return 7;
}
__attribute__((noinline)) int by_sprintf(word target) {
  char buffer[8];
  char line[300];
  memset(line, (int)(target | 1), sizeof line - 1);
  line[sizeof line - 1] = 0;
  forget(buffer);
  sprintf(buffer, "%s", line);
  forget(buffer);
  return 7;
}
/* -- by an index ------------------------------------------------------------------------------------------------- */
__attribute__((noinline)) static void put(word *array, long index, word value) { array[index] = value; }
__attribute__((noinline)) int by_indexes(word target) {
  word array[4];
  forget(array);
  for (long i = 1; i < 64; i++) {
    put(array, -i, target);
    put(array, i + 3, target);
  }
  forget(array);
  return 7;
}
/* -- where compilers say that it is ------------------------------------------------------------------------------ */
__attribute__((noinline)) int by_frame_address(word target) {
  word *frame = __builtin_frame_address(0);
  for (int i = -16; i < 32; i++) put(frame, i, target);
  forget(frame);
  return 7;
}
__attribute__((noinline)) static word *above(int count, ...) {
  va_list list;
  va_start(list, count);
  word *found = 0;
  for (int i = 0; i < count; i++) found = va_arg(list, word *);
  va_end(list);
  return found;
}
__attribute__((noinline)) static int collects(word target, ...) {
  va_list list;
  va_start(list, target);
  for (int i = 0; i < 64; i++) { /* beyond the last: the caller's frame, and what is above it */
    word *at = (word *)((char **)list)[1] + i;
    put(at, 0, target);
    put(at, -16, target);
  }
  va_end(list);
  return 7;
}
__attribute__((noinline)) int by_va_list(word target) {
  word room[8];
  forget(room);
  return collects(target, 1, 2, 3, 4, 5, 6, 7, 8, 9, above(3, room, room, room));
}
/* -- structures that are passed and returned on the stack --------------------------------------------------------- */
struct large { word words[12]; };
__attribute__((noinline)) static struct large spread(struct large argument, word target) {
  word *at = argument.words;
  forget(at);
  for (int i = -8; i < 40; i++) put(at, i, target);
  forget(at);
  return argument;
}
__attribute__((noinline)) int by_arguments(word target) {
  struct large mine = { { 1, 2, 3 } };
  forget(&mine);
  mine = spread(mine, target);
  forget(&mine);
  return 7;
}
/* -- all of it --------------------------------------------------------------------------------------------------- */
static word low, top;
void stack_is(word from, word to) { low = from; top = to; }
__attribute__((noinline)) static void paint(word target) {
  for (word at = low; at < top; at += 8) *(volatile word *)at = target;
}
__attribute__((noinline)) static int deeper(int depth, word target) {
  if (!depth) {
    paint(target);
    return 0;
  }
  return deeper(depth - 1, target) + 1;
}
int by_painting(word target) { return deeper(100, target) - 93; }
/* Its own locals are gone, too; what it saved in registers is not. */
__attribute__((noinline)) long keeps_registers(word target, long a, long b, long c) {
  long x = a * 3, y = b * 5, z = c * 7;
  forget(0);
  paint(target);
  forget(0);
  return x + y + z;
}
/* -- from a handler, a comparison, a callee's callee ---------------------------------------------------------------- */
long host_write(word offset, word count, word value);
__attribute__((noinline)) int by_the_host(word target) {
  word array[4];
  forget(array);
  host_write((word)array - 256, 96, target);
  forget(array);
  return 7;
}
/* -- by a buffer that longjmp goes by ------------------------------------------------------------------------------ */
static jmp_buf buffer;
__attribute__((noinline)) static void jumps(word target) {
  paint(target);
  longjmp(buffer, 5);
}
__attribute__((noinline)) int by_painting_before_longjmp(word target) {
  volatile int number = setjmp(buffer);
  if (!number) jumps(target);
  return 7;
}
/* -- what a function reads of where it will return to ---------------------------------------------------------------- */
__attribute__((noinline)) word return_address(void) { return (word)__builtin_return_address(0); }
__attribute__((noinline)) int reads_the_same(word target) {
  word before = return_address();
  paint(target);
  word after = return_address();
  return before - after < 64 || after - before < 64 ? 7 : 0;
}

/* There is room above. */
__attribute__((noinline)) int below(word attack, word target) {
  char room[4096];
  forget(room);
  int result = ((int (*)(word))attack)(target);
  forget(room);
  return result;
}
