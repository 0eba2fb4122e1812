/* What side_oracle.c has: memory, states of the CPU to run instructions in, and what came of them. */
#pragma once
#include "enter/side.h"

#include <cpuid.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

#define PAGES 2
#define AREA ((u64)PAGES * PAGE)
#define CODE 0x50000000ull
#define PLACE 0x100 /* of an instruction whose operand is relative to it */
#define WINDOW (64ull << 40)
#define STACK (WINDOW + 0x100000)
#define STACK_SIZE ((u64)2 * PAGE)
#define VIEW_LOW (WINDOW + 0x60000000)
#define VIEW_HIGH (WINDOW + 0x90000000)
#define RSP 4
#define STATUS 0x8d5ull
#define SIGNAL_STACK (1 << 17)

/* One form, and how often it is run. The same layout as in side_oracle.py. */
struct task {
    struct side_shape shape;
    u64 seed;
    u32 count, careless; /* careless: exceptions are never unmasked */
};

struct answer {
    u32 aside, faulted, untouched, beyond, finding, state;
    u64 value, expected;
};

enum finding {
    NOTHING,
    REGISTER,
    FLAGS,
    PLACE_OF_CONTROL,
    VECTORS,
    X87,
    CONTROL_OF_VECTORS,
    MEMORY,
    STACK_MEMORY,
    ANOTHER_SIGNAL,
    NOT_FOUND,
    NO_ACCESSES,
    ACCESS_TOO_LARGE,
    CHANGED_BY_A_FAULT,
    OUTSIDE_ITS_ACCESSES,
};

/* A state of the CPU, or what it was after an instruction. */
struct state {
    u64 registers[16], flags, rip;
    int signal, code;
    u64 address;
    u8 x87[5], st[8][10];
    u32 mxcsr;
    u8 vectors[32][64], masks[8][8];
};

static u8 *file_pages, *code_alias;
static u8 *const view_low = (u8 *)VIEW_LOW, *const view_high = (u8 *)VIEW_HIGH, *const stack = (u8 *)STACK;
static u32 at_ymm, at_masks, at_zmm, at_zmm16;

static u64 random_state;
static u64 random64(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state * 0x2545f4914f6cdd1dull;
}

static u32 below(u32 limit) {
    return (u32)((random64() >> 32) * limit >> 32);
}

static void die(const char *why) {
    ssize_t written = write(2, why, strlen(why));
    (void)written;
    _exit(3);
}

/* -- numbers ------------------------------------------------------------------------------------------ */
static u64 odd_number(void) {
    static const u64 some[] = {
        0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0x7fffffff, 0x80000000, 0xffffffff, ~0ull, 1ull << 63,
        0x3ff0000000000000, 0x7ff0000000000000, 0xfff8000000000000, 0x7ff0000000000001, 0x000fffffffffffff,
        0x3f8000003f800000, 0x7f8000007f800000, 0x7f80000100000001, 0x0040000000800000, 0xbff0000000000000,
        0x41e0000000000000, 0x43e0000000000000,
    };
    return below(3) ? random64() : some[below(sizeof some / sizeof *some)];
}

static void fill(void *to, size_t size) {
    for (size_t i = 0; i + 8 <= size; i += 8) {
        u64 number = odd_number();
        memcpy((u8 *)to + i, &number, 8);
    }
}

/* -- the frame ---------------------------------------------------------------------------------------- */
static u8 *frame_of(const ucontext_t *context) {
    return (u8 *)context->uc_mcontext.fpregs;
}

static u64 parts_of(const u8 *frame) {
    u64 parts;
    memcpy(&parts, frame + 512, 8);
    return parts;
}

static void learn_layout(void) {
    u32 size, ecx, edx, low = 0, high = 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    if (low & 4) __cpuid_count(0xd, 2, size, at_ymm, ecx, edx);
    if ((low & 0xe0) != 0xe0) return;
    __cpuid_count(0xd, 5, size, at_masks, ecx, edx);
    __cpuid_count(0xd, 6, size, at_zmm, ecx, edx);
    __cpuid_count(0xd, 7, size, at_zmm16, ecx, edx);
}

static void store_state(const struct state *s, ucontext_t *context) {
    greg_t *g = context->uc_mcontext.gregs;
    u8 *frame = frame_of(context);
    for (u8 i = 0; i < 16; i++) g[tmebox_side_registers[i]] = (greg_t)s->registers[i];
    g[REG_RIP] = (greg_t)s->rip;
    g[REG_EFL] = (greg_t)(s->flags | 0x202);
    memcpy(frame, s->x87, 5);
    memset(frame + 5, 0, 19);
    memcpy(frame + 24, &s->mxcsr, 4);
    for (int i = 0; i < 8; i++) memcpy(frame + 32 + 16 * i, s->st[i], 10);
    for (int i = 0; i < 16; i++) memcpy(frame + 160 + 16 * i, s->vectors[i], 16);
    u64 parts = parts_of(frame) | 3;
    for (int i = 0; at_ymm && i < 16; i++) memcpy(frame + at_ymm + 16 * i, s->vectors[i] + 16, 16), parts |= 4;
    for (int i = 0; at_zmm && i < 16; i++) {
        memcpy(frame + at_zmm + 32 * i, s->vectors[i] + 32, 32);
        memcpy(frame + at_zmm16 + 64 * i, s->vectors[16 + i], 64);
        memcpy(frame + at_masks, s->masks, 64);
        parts |= 0xe0;
    }
    memcpy(frame + 512, &parts, 8);
}

/* What is not in use is as it was at first. */
static void load_state(struct state *s, const ucontext_t *context) {
    const greg_t *g = context->uc_mcontext.gregs;
    const u8 *frame = frame_of(context);
    u64 parts = parts_of(frame);
    memset(s, 0, sizeof *s);
    for (u8 i = 0; i < 16; i++) s->registers[i] = (u64)g[tmebox_side_registers[i]];
    s->rip = (u64)g[REG_RIP];
    s->flags = (u64)g[REG_EFL] & STATUS;
    static const u8 first[5] = {0x7f, 3};
    memcpy(s->x87, parts & 1 ? frame : first, 5);
    for (int i = 0; parts & 1 && i < 8; i++) memcpy(s->st[i], frame + 32 + 16 * i, 10);
    memcpy(&s->mxcsr, frame + 24, 4);
    for (int i = 0; parts & 2 && i < 16; i++) memcpy(s->vectors[i], frame + 160 + 16 * i, 16);
    for (int i = 0; at_ymm && parts & 4 && i < 16; i++) memcpy(s->vectors[i] + 16, frame + at_ymm + 16 * i, 16);
    for (int i = 0; at_zmm && i < 16; i++) {
        if (parts & 0x40) memcpy(s->vectors[i] + 32, frame + at_zmm + 32 * i, 32);
        if (parts & 0x80) memcpy(s->vectors[16 + i], frame + at_zmm16 + 64 * i, 64);
        if (parts & 0x20) memcpy(s->masks, frame + at_masks, 64);
    }
}

/* -- choosing one ------------------------------------------------------------------------------------- */
static void choose_vectors(struct state *s, int careless) {
    fill(s->vectors, sizeof s->vectors);
    fill(s->masks, sizeof s->masks);
    for (int i = 0; i < 32; i++) { /* what this CPU does not have is read as zeros */
        size_t has = at_zmm ? 64 : i >= 16 ? 0 : at_ymm ? 32 : 16;
        memset(s->vectors[i] + has, 0, 64 - has);
    }
    if (!at_zmm) memset(s->masks, 0, sizeof s->masks);
    for (int i = 0; i < 8; i++) {
        u64 number = odd_number();
        memcpy(s->st[i], &number, 8);
        u16 exponent = (u16)(below(2) ? 0x3fff + below(64) - 32 : random64());
        memcpy(s->st[i] + 8, &exponent, 2);
    }
    u32 unmasked = careless || below(4) ? 0 : (u32)random64();
    s->mxcsr = 0x1f80 | (u32)(random64() & 0xe07f);
    s->mxcsr &= ~(unmasked & 0x1f80);
    u16 control = 0x37f, status = (u16)(random64() & 0x3800);
    control = (u16)(control & ~(unmasked & 0x3f)) | (u16)(random64() & 0x0c00);
    memcpy(s->x87, &control, 2);
    memcpy(s->x87 + 2, &status, 2);
    s->x87[4] = (u8)(below(2) ? random64() : below(2) ? 0 : 0xff);
}

/* Where in the area an operand starts: often so that it crosses a line or a page, or ends with the area. */
static u64 choose_target(u32 size) {
    u64 edge = below(2) ? 64ull * (1 + below((u32)(AREA / 64 - 1))) : PAGE * (1ull + below(PAGES - 1));
    u64 at = below(3) ? edge - below(size + 1) : below((u32)(AREA - size));
    if (!below(8)) at = AREA - size;
    if (!below(3)) at &= ~63ull; /* aligned, which some need */
    return at + size <= AREA ? at : AREA - size;
}
