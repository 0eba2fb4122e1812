/* Frames and arrays that are larger than all of the stack, from functions that own a block of the heap. */
#include <alloca.h>
#include <stdint.h>
#include <stdlib.h>

static unsigned char *block;
enum { BLOCK = 1 << 20 };

void prepare(void) { block = calloc(BLOCK, 1); }
long changed(void) {
  for (long i = 0; i < BLOCK; i++) if (block[i]) return i;
  return -1;
}

__attribute__((noinline)) int touch(volatile char *at) { *at = 77; return *at; }

/* The frame that would wrap round into the block: its size is this program's to choose. */
#define FRAME(name, size) int name(void) { volatile char array[size]; array[0] = 77; return touch(&array[1]); }
FRAME(frame_of_80_mebibytes, 80ul << 20)
FRAME(frame_of_200_mebibytes, 200ul << 20)
FRAME(frame_of_1000_mebibytes, 1000ul << 20)
FRAME(frame_of_1023_mebibytes, 0x3ff75f00ul)
FRAME(frame_of_1_gibibyte, 1ul << 30)
FRAME(frame_of_1100_mebibytes, 1100ul << 20)
FRAME(frame_of_1900_mebibytes, 1900ul << 20)

int array(size_t size) { volatile char bytes[size]; bytes[0] = 77; return touch(&bytes[1]); }
int array_at_its_end(size_t size) { volatile char bytes[size]; return touch(&bytes[size - 1]); }
int allocate(size_t size) { return touch(alloca(size)); }
int allocate_twice(size_t size) { touch(alloca(64)); return touch(alloca(size)); }
int scoped(size_t size) {
  int sum = 0;
  for (int i = 0; i < 3; i++) { volatile char bytes[size]; sum += touch(&bytes[0]); }
  return sum;
}

#ifdef __tmebox_r15__
__attribute__((naked)) void lower_by_lea(size_t size) {
  __asm__("pushq %rbp\n movq %rsp, %rbp\n negq %rdi\n leaq (%rsp,%rdi), %rsp\n movb $77, (%rsp)\n movq %rbp, %rsp\n popq %rbp\n ret");
}
__attribute__((naked)) void lower_by_add(size_t size) {
  __asm__("pushq %rbp\n movq %rsp, %rbp\n negq %rdi\n addq %rdi, %rsp\n movb $77, (%rsp)\n movq %rbp, %rsp\n popq %rbp\n ret");
}
__attribute__((naked)) void lower_by_memory(size_t size) {
  __asm__("pushq %rbp\n movq %rsp, %rbp\n movq %rdi, -16(%rbp)\n subq -16(%rbp), %rsp\n movb $77, (%rsp)\n movq %rbp, %rsp\n popq %rbp\n ret");
}
__attribute__((naked)) void lower_and_raise(long count) {
  __asm__("movq %rdi, %rax\n negq %rax\n addq %rdi, %rsp\n addq %rax, %rsp\n subq %rax, %rsp\n subq %rdi, %rsp\n ret");
}
#endif
