/* Returns, calls and jumps to addresses of the attacker's choice. */
#include <setjmp.h>

typedef unsigned long word;

static unsigned char data[64];
static jmp_buf forged;
volatile int visits;

int alive(void) { return 42; }
int visited(void) { return visits; }
int secret(void) { visits++; return 1234; }
/* Its immediate holds the bytes of `syscall; ret`. */
word payload(void) { return 0xc3050f9090909090; }

word where_is_secret(void) { return (word)&secret; }
word where_is_payload(void) { return (word)&payload; }
word where_is_data(void) { return (word)data; }

/* What is refused with the base in gs: see test_control_stack.py. */
#ifdef __tmebox_r15__
__attribute__((naked)) void return_to(word target) { __asm__("movq %rdi, (%rsp)\n ret"); }
__attribute__((naked)) void pop_and_jump(word target) { __asm__("popq %rax\n movq %rdi, %rax\n jmpq *%rax"); }
__attribute__((naked)) void push_and_return(word target) { __asm__("pushq %rdi\n ret"); }
#endif
__attribute__((naked, noinline)) word return_site(void) { __asm__("movq (%rsp), %rax\n ret"); }
__attribute__((noinline)) word a_return_site(void) { word site = return_site(); visits++; return site; }

int call(word target) { return ((int (*)(void))target)(); }
int tail_call(word target) { int (*volatile f)(void) = (int (*)(void))target; return f(); }
word call_with(word target, word argument) { return ((word (*)(word))target)(argument); }
__attribute__((naked)) int call_through_memory(word pointer) { __asm__("subq $8, %rsp\n callq *(%rdi)\n addq $8, %rsp\n ret"); }

int go(word target, int which) {
  static void *volatile labels[] = {&&one, &&two};
  if (which < 2) goto *labels[which];
  goto *(void *)target;
one:
  return 1;
two:
  return 2;
}

/* A switch that becomes a jump table; the index is checked by code the attacker also wrote. */
__attribute__((noinline)) int choose(int x) {
  switch (x) {
    case 0: return visits + 7;
    case 1: return visits * 3;
    case 2: return visits - 9;
    case 3: return visits ^ 5;
    case 4: return visits | 64;
    case 5: return visits / 3;
    default: return -1;
  }
}

int jump_with_forged_buffer(word target, word stack) {
  if (setjmp(forged) == 0) {
    word *words = (word *)&forged;
#ifdef __tmebox_r15__
    word here = 0;
    __asm__ volatile("movl %%esp, %k0" : "=r"(here));
    for (unsigned i = 0; i < (sizeof forged) / (sizeof(word)); i++) {
      word value = words[i] & 0xffffffff;
      if (value >= 0x40000000 && value < 0x7fff0000 && target) words[i] = target;
      if (stack && value >= here - 4096 && value <= here + 4096) words[i] = stack;
    }
#else
    /* Where to go on in the upper half, and rsp in the lower one. */
    if (target) words[6] = target << 32 | (unsigned)words[6];
    if (stack) words[6] = words[6] >> 32 << 32 | (unsigned)stack;
#endif
    longjmp(forged, 1);
  }
  return 7;
}

/* By way of rbp, for which nothing checks that it is an offset: the rebase cuts it to one. */
#ifdef __tmebox_r15__
__attribute__((naked)) void move_stack(word to) {
  __asm__("movq %rdi, %rbp\n movq %rbp, %rsp\n pushq %rax\n popq %rax\n ret");
}
__attribute__((naked)) void forge_frame(word frame) { __asm__("movq %rdi, %rbp\n leave\n ret"); }
__attribute__((naked)) word borrow_stack(word to) {
  __asm__("movq %rsp, %rcx\n movq %rdi, %rsp\n pushq $77\n popq %rax\n movq %rcx, %rsp\n ret");
}
#endif
