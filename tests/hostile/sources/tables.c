/* Jumps through tables with indexes of the attacker's choice. */
typedef unsigned long word;

int alive(void) { return 42; }

/* Four entries. No check of the index: what a compiler leaves out where it believes a promise. */
int go(word index) {
  static void *const places[] = {&&one, &&two, &&three, &&four};
  goto *places[index];
one:
  return 1;
two:
  return 2;
three:
  return 3;
four:
  return 4;
}

volatile int visits;

int promised(word which) {
  switch (which) {
    case 0: return visits + 7;
    case 1: return visits * 3 + 1;
    case 2: return visits - 9;
    case 3: return visits ^ 5;
    case 4: return visits | 64;
    case 5: return visits / 3 + 14;
    default: __builtin_unreachable();
  }
}

/* A compiler's own comparison, of the half that the jump uses. */
__attribute__((naked)) int compared(word index) {
  __asm__(
      "cmpl $1, %edi\n ja .Lneither\n jmpq *.Lhalf(,%rdi,8)\n"
      ".Lzero: movl $1, %eax\n ret\n"
      ".Lone: movl $2, %eax\n ret\n"
      ".Lneither: movl $3, %eax\n ret\n"
      ".pushsection .rodata\n.p2align 3\n.Lhalf: .quad .Lzero, .Lone\n.popsection");
}

/* The same with nothing of a compiler's. */
__attribute__((naked)) int by_hand(word index) {
  __asm__(
      "jmpq *.Lhand(,%rdi,8)\n"
      ".Lfirst: movl $1, %eax\n ret\n"
      ".Lsecond: movl $2, %eax\n ret\n"
      ".pushsection .rodata\n.p2align 3\n.Lhand: .quad .Lfirst, .Lsecond\n.popsection");
}
