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

/* The same with nothing of a compiler's. */
__attribute__((naked)) int by_hand(word index) {
  __asm__(
      "jmpq *.Lhand(,%rdi,8)\n"
      ".Lfirst: movl $1, %eax\n ret\n"
      ".Lsecond: movl $2, %eax\n ret\n"
      ".pushsection .rodata\n.p2align 3\n.Lhand: .quad .Lfirst, .Lsecond\n.popsection");
}
