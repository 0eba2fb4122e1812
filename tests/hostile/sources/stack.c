/* Ways to leave the stack. */
#include <alloca.h>
#include <stddef.h>
#include <stdlib.h>

volatile int sink;

int alive(void) { return 42; }

__attribute__((noinline)) int recurse(int depth) {
  volatile char frame[256];
  frame[depth & 255] = (char)depth;
  return recurse(depth + 1) + frame[depth & 255];
}

__attribute__((noinline)) int touch(volatile char *at) { *at = 1; return *at; }

int allocate(size_t size_bytes) { return touch(alloca(size_bytes)); }
int allocate_top(size_t size_bytes) { char *at = alloca(size_bytes); return touch(at + size_bytes - 1); }
int variable_array(long count) { volatile int array[count]; return touch((volatile char *)array); }
int allocate_repeatedly(size_t size_bytes) {
  for (;;) touch(alloca(size_bytes));
}

int frame_of_1_mebibyte(int depth) {
  volatile char big[1 << 20];
  touch(big);
  return depth ? frame_of_1_mebibyte(depth - 1) + touch(big) : 0;
}
int frame_of_80_mebibytes(void) { volatile char big[80 << 20]; return touch(big); }
int frame_of_80_mebibytes_untouched(void) { volatile char big[80 << 20]; return touch(&big[(80 << 20) - 1]); }
int frame_of_1_gibibyte(void) { volatile char big[1 << 30]; return touch(big); }

static int recursing_comparison(const void *a, const void *b) {
  int more[64];
  (void)a; (void)b;
  for (int i = 0; i < 64; i++) more[i] = (i * 7919) % 64;
  qsort(more, 64, sizeof *more, recursing_comparison);
  return more[0] - 1;
}
int recurse_in_qsort(void) { int x = 0; return recursing_comparison(&x, &x); }

#ifdef __tmebox_r15__
__attribute__((naked)) void slide_down(void) { __asm__("1: subq $4096, %rsp\n jmp 1b"); }
__attribute__((naked)) void slide_up(void) { __asm__("1: addq $4096, %rsp\n jmp 1b"); }
__attribute__((naked)) void pop_forever(void) { __asm__("1: popq %rax\n jmp 1b"); }
__attribute__((naked)) void push_forever(void) { __asm__("1: pushq $1\n jmp 1b"); }

/* On some processors a store whose exception is unmasked completes without storing. */
const unsigned short all_exceptions = 0x340;
__attribute__((naked)) void slide_up_storing(void) {
    __asm__("fninit\n fldcw all_exceptions(%rip)\n 1: addq $0x80000, %rsp\n fstps (%rsp)\n fnclex\n jmp 1b");
}
__attribute__((naked)) void slide_down_storing(void) {
    __asm__("fninit\n fldcw all_exceptions(%rip)\n 1: subq $0x80000, %rsp\n fistpll (%rsp)\n fnclex\n jmp 1b");
}
#endif
