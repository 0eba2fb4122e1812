/* Inline assembly that uses the stack pointer as data, moves it, and needs r11 or the flags meanwhile. */
#include "libc.h"

__attribute__((noinline)) static u64 pointer(void) {
    u64 a, b, c, d;
    __asm__ volatile("movq %%rsp, %0\n\tleaq -8(%%rsp), %1\n\tmovq %%rsp, %2\n\tsubq %%rsp, %2\n\t"
                     "movq %0, %3\n\tcmpq %%rsp, %3\n\tsete %b3\n\tmovzbl %b3, %k3"
                     : "=&r"(a), "=&r"(b), "=&r"(c), "=&r"(d));
    return a - b + c + (d << 8);
}

__attribute__((noinline)) static u64 pushed(void) {
    u64 equal, back;
    __asm__ volatile("pushq %%rsp\n\tpopq %0\n\tsubq %%rsp, %0\n\t"
                     "subq $4096, %%rsp\n\tmovq $7, 8(%%rsp)\n\taddq $2048, %%rsp\n\t"
                     "movq -2040(%%rsp), %1\n\taddq $2048, %%rsp\n\t"
                     "pushq $3\n\tpushq $4\n\taddq $2, 8(%%rsp)\n\taddq (%%rsp), %1\n\taddq 8(%%rsp), %1\n\t"
                     "leaq 16(%%rsp), %%rsp"
                     : "=&r"(equal), "=&r"(back) : : "memory", "cc");
    return equal * 1000 + back;
}

/* A condition that has to survive a move of the stack pointer, each family of conditions once. */
#define SURVIVES(cc)                                                                                       \
    __asm__ volatile("pushq %%rax\n\tcmpl %2, %1\n\tnop\n\tleaq 8(%%rsp), %%rsp\n\tset" #cc " %b0"                   \
                     : "+&r"(got) : "r"(a), "r"(b) : "memory", "cc");                                       \
    hash = mix(hash, got & 1);

__attribute__((noinline)) static u64 conditions(u32 a, u32 b) {
    u64 hash = 5, got = 0;
    SURVIVES(e) SURVIVES(ne) SURVIVES(b) SURVIVES(ae) SURVIVES(be) SURVIVES(a) SURVIVES(l) SURVIVES(ge)
    SURVIVES(le) SURVIVES(g) SURVIVES(s) SURVIVES(ns) SURVIVES(o) SURVIVES(no) SURVIVES(p) SURVIVES(np)
    return hash;
}

__attribute__((noinline)) static u64 scratch_kept(u64 n) {
    u64 result, compared;
    u8 buffer[64];
    u8 *to = buffer;
    u64 count = 64;
    __asm__ volatile("movq %4, %%r11\n\trep stosb\n\tcmpq %%rsp, %%rdi\n\tsetae %b1\n\tmovzbl %b1, %k1\n\tmovq %%r11, %0"
                     : "=&r"(result), "=&r"(compared), "+D"(to), "+c"(count) : "r"(n), "a"(n) : "r11", "memory", "cc");
    for (int i = 0; i < 64; i++) result = mix(result, buffer[i]);
    return mix(result, compared);
}

u64 run(void) {
    static const u32 samples[] = {0, 1, 2, 127, 128, 0x7fffffff, 0x80000000, 0x80000001, 0xffffffff};
    u64 hash = mix(pointer(), pushed());
    hash = mix(hash, scratch_kept(hash));
    for (int i = 0; i < 81; i++) hash = mix(hash, conditions(samples[i / 9], samples[i % 9]));
    return hash;
}
