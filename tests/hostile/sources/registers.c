/* What a sandbox finds in its registers and in memory it never wrote. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned long word;

void host_nothing(void);

int alive(void) { return 42; }

/* rax rbx rcx rdx rsi rdi rbp r8…r15, then xmm0…xmm15 */
#define DUMP_INTEGERS \
  "movq %rax, (%rdi)\n movq %rbx, 8(%rdi)\n movq %rcx, 16(%rdi)\n movq %rdx, 24(%rdi)\n movq %rsi, 32(%rdi)\n" \
  "movq %rbp, 48(%rdi)\n movq %r8, 56(%rdi)\n movq %r9, 64(%rdi)\n movq %r10, 72(%rdi)\n movq %r11, 80(%rdi)\n" \
  "movq %r12, 88(%rdi)\n movq %r13, 96(%rdi)\n movq %r14, 104(%rdi)\n movq %r15, 112(%rdi)\n"
#define DUMP_VECTORS \
  "movups %xmm0, 128(%rdi)\n movups %xmm1, 144(%rdi)\n movups %xmm2, 160(%rdi)\n movups %xmm3, 176(%rdi)\n" \
  "movups %xmm4, 192(%rdi)\n movups %xmm5, 208(%rdi)\n movups %xmm6, 224(%rdi)\n movups %xmm7, 240(%rdi)\n" \
  "movups %xmm8, 256(%rdi)\n movups %xmm9, 272(%rdi)\n movups %xmm10, 288(%rdi)\n movups %xmm11, 304(%rdi)\n" \
  "movups %xmm12, 320(%rdi)\n movups %xmm13, 336(%rdi)\n movups %xmm14, 352(%rdi)\n movups %xmm15, 368(%rdi)\n"

word dump[48];
word where_is_dump(void) { return (word)dump; }
word dump_word(int index) { return dump[index]; }

__attribute__((naked)) void dump_at_entry(word to) { __asm__(DUMP_INTEGERS DUMP_VECTORS "ret"); }

/* rdi does not survive the call, so it comes back through rbx. */
__attribute__((naked)) void dump_after_host_call(word to) {
  __asm__("pushq %rbx\n movq %rdi, %rbx\n callq host_nothing\n xchgq %rbx, %rdi\n movq %rbx, 40(%rdi)\n" DUMP_INTEGERS
          DUMP_VECTORS "popq %rbx\n ret");
}

__attribute__((naked)) void load_registers(void) {
  __asm__("movl $0x5a5a5a5a, %eax\n movl %eax, %ecx\n movl %eax, %edx\n movl %eax, %esi\n movl %eax, %edi\n"
          "movl %eax, %r8d\n movl %eax, %r9d\n movl %eax, %r10d\n movd %eax, %xmm0\n pshufd $0, %xmm0, %xmm0\n"
          "movaps %xmm0, %xmm7\n movaps %xmm0, %xmm15\n ret");
}

/* Counts bytes that are not zero in what this sandbox has not written. */
static word count_nonzero(const volatile unsigned char *from, word size_bytes) {
  word found = 0;
  for (word i = 0; i < size_bytes; i++) found += from[i] != 0;
  return found;
}
word dirt_below_stack(word size_bytes) {
  unsigned char here;
  const volatile unsigned char *low = &here - 4096 - size_bytes;
  return count_nonzero(low, size_bytes);
}
word dirt_in_heap(word size_bytes) {
  unsigned char *block = malloc(size_bytes);
  return block ? count_nonzero(block + 64, size_bytes - 64) : 999;
}
word paint(word size_bytes) {
  unsigned char *block = malloc(size_bytes);
  volatile unsigned char on_stack[1 << 20];
  if (!block) return 0;
  memset(block, 0xa5, size_bytes);
  memset((void *)on_stack, 0xa5, sizeof on_stack);
  return block[size_bytes - 1] + on_stack[5];
}
