/* smashing.c's attacks from arrays without a constant size, which compilers place elsewhere. */
#include <alloca.h>

typedef unsigned long word;

int visits;
int alive(void) { return 42; }
int visited(void) { return visits; }
int secret(void) { visits++; return 1234; }
word where_is_secret(void) { return (word)&secret; }

__attribute__((noinline)) static void forget(volatile void *at) { __asm__ volatile("" : : "r"(at) : "memory"); }
__attribute__((noinline)) static void put(word *array, long index, word value) { array[index] = value; }

__attribute__((noinline)) int by_alloca(word target) {
  word *room = alloca((target & 15) + 32);
  for (int i = -32; i < 64; i++) put(room, i, target);
  forget(room);
  return 7;
}
__attribute__((noinline)) int by_variable_array(word target) {
  word room[(target & 15) + 4];
  for (int i = -32; i < 64; i++) put(room, i, target);
  forget(room);
  return 7;
}
/* Around where this function's own frame is, which is elsewhere. */
__attribute__((noinline)) int by_frame_beside_an_array(word target) {
  word room[(target & 15) + 4];
  forget(room);
  word *frame = __builtin_frame_address(0);
  for (int i = -64; i < 4; i++) put(frame, i, target);
  forget(room);
  return 7;
}
__attribute__((noinline)) int below(word attack, word target) {
  word room[(target & 15) + 512];
  forget(room);
  int result = ((int (*)(word))attack)(target);
  forget(room);
  return result;
}
