/* Runs one instrumented function natively: a window, a control stack, a target map and gs, and nothing else of
 * tmebox.
 *
 * Linked with the rewritten program, whose data is at window offsets and whose text is at TEXT_NOMINAL. The
 * data moves into the window and its old place is unmapped, so that an address which is not confined to the
 * window faults. Freestanding, so that it needs no libc. Prints what `run` returns, in hexadecimal.
 *
 * With -DNATIVE the program is the same assembly without instrumentation, called directly.
 */
typedef unsigned long u64;
typedef unsigned char u8;

extern u64 run(void);

static long syscall6(long n, long a, long b, long c, long d, long e, long f) {
    register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

enum { SYS_write = 1, SYS_mmap = 9, SYS_munmap = 11, SYS_arch_prctl = 158, SYS_exit_group = 231, SET_GS = 0x1001 };

static void leave(int code) {
    for (;;) syscall6(SYS_exit_group, code, 0, 0, 0, 0, 0);
}

static void print(u64 value) {
    char text[17];
    for (int i = 0; i < 16; i++) text[i] = "0123456789abcdef"[value >> (60 - 4 * i) & 15];
    text[16] = '\n';
    syscall6(SYS_write, 1, (long)text, 17, 0, 0, 0);
}

#ifndef NATIVE
#include "abi.h"

static const u64 WINDOW = 0x123400000000, CONTROL = 0x234500000000 + TMEBOX_TWIN_DISTANCE;

extern u8 image_start[], image_end[], text_start[], text_end[];

static u8 *map(u64 address, u64 size, int prot) {
    long got = syscall6(SYS_mmap, (long)address, (long)size, prot, 0x100022 | 0x4000, -1, 0); /* fixed, no reserve */
    if (got != (long)address) leave(3);
    return (u8 *)got;
}

/* u64 enter(u64 rsp): calls run on another stack. */
u64 enter(u64 rsp);
__asm__(".text\n"
        "enter:\n\tpushq %rbx\n\tpushq %rbp\n\tpushq %r12\n\tpushq %r13\n\tpushq %r14\n\tpushq %r15\n"
        "\tmovq %rsp, saved(%rip)\n\tmovq %rdi, %rsp\n\tcall run\n\tmovq saved(%rip), %rsp\n"
        "\tpopq %r15\n\tpopq %r14\n\tpopq %r13\n\tpopq %r12\n\tpopq %rbp\n\tpopq %rbx\n\tret\n"
        ".data\nsaved:\t.quad 0\n.text\n");

static const u64 label_depths[] = {DEPTHS};
static const u8 label_marks[] = {MARKS};
extern const struct claim {
    u64 place, depth;
} depths_start[], depths_end[];

/* Everything may be called, but for places in the middle of functions, which are labels. */
static void fill_map(u64 from, u64 to) {
    u64 start = (from + TMEBOX_TARGET_MAP) & -4096ul, end = (to + TMEBOX_TARGET_MAP + 4095) & -4096ul;
    u8 *bytes = map(start, end - start, 3);
    for (u64 i = 0; i < end - start; i++) bytes[i] = TMEBOX_TARGET_FUNCTION;
    for (const struct claim *claim = depths_start; claim < depths_end; claim++)
        for (int i = 1; i < (int)sizeof label_marks; i++)
            if (claim->depth == label_depths[i]) *(u8 *)(TMEBOX_TARGET_MAP + claim->place) = label_marks[i];
}

static u64 run_in_window(void) {
    u64 start = (u64)image_start & -4096ul, end = ((u64)image_end + 4095) & -4096ul;
    u8 *image = map(WINDOW + start, end - start + 4096, 3);
    for (u64 i = 0; i < end - start; i++) image[i] = image_start[i];
    syscall6(SYS_munmap, (long)start, (long)(end - start), 0, 0, 0, 0);
    map(WINDOW + TMEBOX_STACK_LOWEST, TMEBOX_STACK_TOP - TMEBOX_STACK_LOWEST, 3);
    u64 lowest = (CONTROL + TMEBOX_STACK_LOWEST) & -4096ul, top = (CONTROL + TMEBOX_STACK_TOP) & -4096ul;
    map(lowest, top - lowest, 3);
    u8 *control = map(WINDOW + TMEBOX_CONTROL_PAGE, 4096, 3);
    *(u64 *)control = WINDOW;
    fill_map((u64)text_start, (u64)text_end);
    if (syscall6(SYS_arch_prctl, SET_GS, (long)WINDOW, 0, 0, 0, 0)) leave(4);
    return enter(CONTROL + TMEBOX_STACK_TOP - 8192);
}
#else
static u64 run_in_window(void) { return run(); }
#endif

/* void _start(void): aligns the stack as any function expects it. */
__asm__(".text\n.globl _start\n_start:\n\tandq $-16, %rsp\n\tcall begin\n");
void begin(void) {
    print(run_in_window());
    leave(0);
}
