/* Threads that keep everything a processor has in its registers while they are interrupted, each something else. */
#include <pthread.h>
#include <string.h>

typedef unsigned long word;

#ifdef __AVX__
enum { VECTOR = 32 };
#define MOVE "vmovdqu "
#define REGISTER "%ymm"
#else
enum { VECTOR = 16 };
#define MOVE "movdqu "
#define REGISTER "%xmm"
#endif

/* Offsets are known to the assembly below. `rsi` and `rcx` are the pointer to what was found, and the count. */
struct registers {
  word integers[16];               /* 0: rax rbx rcx rdx rsi rdi rbp - r8 ... r15 */
  unsigned char vectors[16][32];   /* 128 */
  unsigned char stack[8][16];      /* 640: of x87 */
  unsigned short x87_control, x87_status; /* 768 */
  unsigned mxcsr;                  /* 772 */
  unsigned char flags, overflow;   /* 776: as lahf and seto have them */
};

long keep_first(const struct registers *given, struct registers *found, long count);
long keep_second(const struct registers *given, struct registers *found, long count);

#define ALL_VECTORS(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12) DO(13) DO(14) DO(15)
#define TEXT(X) #X
#define LOAD(N) MOVE TEXT(128 + 32 * N) "(%rdi), " REGISTER #N "\n"
#define STORE(N) MOVE REGISTER #N ", " TEXT(128 + 32 * N) "(%rsi)\n"
#define ALL_X87(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)
#define PUSH(N) "fldt " TEXT(640 + 16 * N) "(%rdi)\n"
#define POP(N) "fstpt " TEXT(640 + 16 * N) "(%rsi)\n"

#define KEEP(NAME, FLAGS)                                                                                             \
  __asm__(".text\n.globl " NAME "\n.type " NAME ",@function\n" NAME ":\n"                                             \
          "pushq %rbx\npushq %rbp\npushq %r12\npushq %r13\npushq %r14\npushq %r15\nsubq $24, %rsp\n"                  \
          "movq %rdx, %rcx\n"                                                                                         \
          "fldcw 768(%rdi)\n" ALL_X87(PUSH) "ftst\n"                                                                  \
          "ldmxcsr 772(%rdi)\n" ALL_VECTORS(LOAD)                                                                     \
          "movq 8(%rdi), %rbx\nmovq 24(%rdi), %rdx\nmovq 48(%rdi), %rbp\n"                                            \
          "movq 64(%rdi), %r8\nmovq 72(%rdi), %r9\nmovq 80(%rdi), %r10\nmovq 88(%rdi), %r11\n"                        \
          "movq 96(%rdi), %r12\nmovq 104(%rdi), %r13\nmovq 112(%rdi), %r14\nmovq 120(%rdi), %r15\n"                   \
          FLAGS "movq 0(%rdi), %rax\nmovq 40(%rdi), %rdi\n"                                                           \
          "1: loop 1b\n"                                                                                              \
          "movq %rax, 0(%rsi)\nlahf\nmovb %ah, 776(%rsi)\nseto 777(%rsi)\n"                                           \
          "movq %rbx, 8(%rsi)\nmovq %rcx, 16(%rsi)\nmovq %rdx, 24(%rsi)\nmovq %rdi, 40(%rsi)\nmovq %rbp, 48(%rsi)\n"  \
          "movq %r8, 64(%rsi)\nmovq %r9, 72(%rsi)\nmovq %r10, 80(%rsi)\nmovq %r11, 88(%rsi)\n"                        \
          "movq %r12, 96(%rsi)\nmovq %r13, 104(%rsi)\nmovq %r14, 112(%rsi)\nmovq %r15, 120(%rsi)\n"                   \
          ALL_VECTORS(STORE) "stmxcsr 772(%rsi)\nfnstcw 768(%rsi)\nfnstsw 770(%rsi)\n" ALL_X87(POP)                   \
          "ldmxcsr default_mxcsr\nfldcw default_x87\n"                                                                \
          "addq $24, %rsp\npopq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rbp\npopq %rbx\n"                        \
          "xorl %eax, %eax\nret\n.size " NAME ",.-" NAME "\n")

unsigned default_mxcsr = 0x1f80;
unsigned short default_x87 = 0x37f;

KEEP("keep_first", "movl $0x80000000, %eax\naddl %eax, %eax\n");
KEEP("keep_second", "xorl %eax, %eax\nsubl $1, %eax\n");

/* An exception of x87 that is pending, and all of SSE's flagged and unmasked: nothing but the next instruction that looks at
   it may meet either. The words are those of the status and of MXCSR afterwards. */
void keep_pending(unsigned *words, long count);
__asm__(".text\n.globl keep_pending\n.type keep_pending,@function\nkeep_pending:\n"
        "movq %rsi, %rcx\nfninit\nfldcw unmasked_x87\nfldz\nfld1\nfdivp\nldmxcsr unmasked_mxcsr\n"
        "1: loop 1b\n"
        "fnstsw (%rdi)\nfnclex\nstmxcsr 4(%rdi)\nfninit\nldmxcsr default_mxcsr\nret\n.size keep_pending,.-keep_pending\n");
unsigned unmasked_mxcsr = 0x807f;
unsigned short unmasked_x87 = 0x340;

volatile int over;
static volatile int last;
volatile long turns, rounds, wrong;

static void fill(struct registers *registers, word seed) {
  unsigned char *bytes = (unsigned char *)registers;
  memset(registers, 0, sizeof *registers);
  for (unsigned i = 0; i < 640; i++) bytes[i] = (unsigned char)((seed = seed * 6364136223846793005 + 1) >> 56);
  for (int i = 0; i < 8; i++) {
    long double number = (long double)(long)(seed = seed * 6364136223846793005 + 1);
    memcpy(registers->stack[i], &number, 10);
  }
}

/* What `keep` does undisturbed is what it has to do. */
static void work(long (*keep)(const struct registers *, struct registers *, long), word seed, unsigned short x87, unsigned mxcsr) {
  static volatile int setting;
  struct registers given, right, found;
  int me = (int)seed;
  fill(&given, seed);
  given.x87_control = x87;
  given.mxcsr = mxcsr;
  memset(&right, 0, sizeof right);
  while (__atomic_exchange_n(&setting, 1, __ATOMIC_SEQ_CST)) {}
  keep(&given, &right, 1);
  setting = 0;
  while (!over) {
    memset(&found, 0, sizeof found);
    keep(&given, &found, 30000);
    if (memcmp(&found, &right, sizeof found) != 0) wrong++;
    rounds++;
    if (last != me) turns++;
    last = me;
  }
}

static void *first(void *argument) { work(keep_first, 1, 0x77f, 0x3f80); return argument; }
static void *second(void *argument) { work(keep_second, 2, 0xb7f, 0xdf80); return argument; }

static void *pending(void *argument) {
  unsigned right[2] = { 0 };
  keep_pending(right, 1);
  if (!(right[0] & 0x80) || right[1] != unmasked_mxcsr) wrong++;
  while (!over) {
    unsigned found[2] = { 0 };
    keep_pending(found, 30000);
    if (found[0] != right[0] || found[1] != right[1]) wrong++;
    if (last != 3) turns++;
    last = 3;
  }
  return argument;
}

long rounds_made(void) { return rounds; }

/* Until so many turns: how many rounds were wrong. */
long survive(long wanted) {
  pthread_t threads[3];
  over = 0;
  turns = rounds = wrong = 0;
  pthread_create(&threads[0], 0, first, 0);
  pthread_create(&threads[1], 0, second, 0);
  pthread_create(&threads[2], 0, pending, 0);
  while (turns < wanted) {}
  over = 1;
  pthread_join(threads[0], 0);
  pthread_join(threads[1], 0);
  pthread_join(threads[2], 0);
  return wrong;
}
