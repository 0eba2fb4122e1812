/* The state that an instruction runs in: hostile numbers, and addresses worth testing. */
#pragma once
#include "processor_memory.h"
#include <cpuid.h>
#include <sys/auxv.h>
#include <ucontext.h>

/* -- hostile numbers --------------------------------------------------------------------------------------- */

static u64 random_state;

static u64 random64(void) {
    u64 x = random_state += 0x9e3779b97f4a7c15ull;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ x >> 27) * 0x94d049bb133111ebull;
    return x ^ x >> 31;
}

static u32 below(u32 limit) { return (u32)((random64() >> 32) * limit >> 32); }

static u64 hostile_number(void) {
    u64 r = random64();
    switch (r & 7) {
    case 0: return r >> 8 & 255;
    case 1: return window + (r >> 32);
    case 2: return r >> 32;
    case 3: return -(r >> 8 & 0xfff);
    case 4: return r ^ 0x8000000000000000ull >> (r >> 58);
    case 5: return 1ull << (r >> 58);
    case 6: return WHOLE + (r >> 8 & 0xfff);
    default: return r;
    }
}

static u64 hostile_lane(void) {
    static const u64 special[] = {
        0, 1ull << 63, 0x3ff0000000000000, 0x7ff0000000000000, 0xfff0000000000000, 0x7ff8000000000000,
        0x7ff0000000000001, 1, 0x000fffffffffffff, 0x7fefffffffffffff, 0x0010000000000000, 0x41dfffffffc00000,
        0x3f8000003f800000, 0x7f80000000000001, 0x7f8000017fc00000, 0x00000001ffc00000, 0x4f00000080000000,
        0x7f7fffff00800000, ~0ull,
    };
    u64 r = random64();
    return r & 3 ? special[(r >> 8) % (sizeof special / sizeof *special)] : random64();
}

static void hostile_x87(u8 *value) {
    static const u64 fractions[] = {0, 1ull << 63, 3ull << 62, 1, ~0ull, 0x8000000000000001, 0xc90fdaa22168c235};
    static const u16 exponents[] = {0, 1, 0x3fff, 0x4000, 0x401e, 0x403e, 0x7ffe, 0x7fff, 0xbfff, 0xffff, 0x8000};
    u64 r = random64(), fraction = r & 1 ? random64() : fractions[(r >> 8) % 7];
    u16 exponent = r & 6 ? exponents[(r >> 16) % 11] : (u16)(r >> 32);
    memcpy(value, &fraction, 8);
    memcpy(value + 8, &exponent, 2);
}

/* -- the state of one execution ---------------------------------------------------------------------------- */

static const int GREGS[16] = {
    REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
    REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
};
enum { STATUS = 0x8d5, TRAP = 0x100, ALIGN = 0x40000, REPORTED = 0xcd5 | ALIGN | 0x3000 | 0x4000 | 0x200000 };

static struct form forms[MOST_FORMS];
static struct result results[MOST_FORMS];
static u32 form_count, form_number, executions;
static int careful;
static u64 start, before[16], flags_before, address[MOST_ACCESSES], fs_base;
static u16 selectors[4];
static u8 fx[512], ymm[256], opmask[64], zmm_high[512], zmm_16[1024];
static int has_xsave, has_avx, has_avx512, has_fsgsbase;
static u32 ymm_at, opmask_at, zmm_high_at, zmm_16_at;

/* Which registers the kernel keeps, by the first frame that it makes, and where in a frame they are. */
static void learn_layout(const u8 *frame) {
    u32 a, c, d, magic;
    u64 features;
    memcpy(&magic, frame + 464, 4);
    memcpy(&features, frame + 472, 8);
    has_xsave = magic == 0x46505853;
    has_avx = has_xsave && features >> 2 & 1, has_avx512 = has_avx && (features >> 5 & 7) == 7;
    __cpuid_count(0xd, 2, a, ymm_at, c, d);
    __cpuid_count(0xd, 5, a, opmask_at, c, d);
    __cpuid_count(0xd, 6, a, zmm_high_at, c, d);
    __cpuid_count(0xd, 7, a, zmm_16_at, c, d);
    has_fsgsbase = getauxval(AT_HWCAP2) >> 1 & 1;
}

static void fill(u8 *to, size_t size) {
    for (size_t i = 0; i < size; i += 8) {
        u64 lane = hostile_lane();
        memcpy(to + i, &lane, 8);
    }
}

static u16 some_exceptions(void) { u64 r = random64(); return r & 1 ? 0x3f : (u16)(r >> 8 & 0x3f); }

static void choose_fpu(void) {
    u64 r = random64();
    u16 control = (u16)(0x40 | (r & 0xf00) | some_exceptions());
    u16 status = (u16)(r >> 16 & 0x7f00);
    if (r >> 32 & 1) status |= (r >> 33) & 0x7f & ~(r >> 40 & 1 ? 0 : 0x3f & ~control);
    if (r >> 41 & 1) control = 0x37f;
    if (status & ~control & 0x3f) status |= 0x8080;
    u8 tags = r >> 42 & 1 ? 0xff : r >> 43 & 1 ? 0 : (u8)(r >> 44);
    u32 mxcsr = (u32)(r >> 52 & 1 ? 0x1f80 : (r >> 53 & 0x7f) << 6 | some_exceptions() << 7);
    mxcsr = (mxcsr & ~0x6000u) | (below(4) << 13) | (below(8) ? 0 : 0x8000) | below(64);
    if (below(4) == 0) mxcsr |= 0x1f80;
    memcpy(fx, &control, 2);
    memcpy(fx + 2, &status, 2);
    fx[4] = tags;
    memcpy(fx + 24, &mxcsr, 4);
    for (int i = 0; i < 8; i++) hostile_x87(fx + 32 + 16 * i);
    fill(fx + 160, 256);
    fill(ymm, 256);
    if (!below(16)) fill(zmm_high, 512), fill(zmm_16, 1024), fill(opmask, 64);
}

static int64_t displacement_of(const struct access *a) {
    return a->displacement + (a->base == RIP ? (int64_t)start : 0);
}

static u64 address_of(const struct access *a) {
    u64 sum = (u64)displacement_of(a);
    if (a->base < 16) sum += before[a->base];
    if (a->index < 16) sum += before[a->index] * a->scale;
    if (a->flags & SHORT) sum = (u32)sum;
    return a->kind == WINDOW ? window + sum : sum;
}

static u64 within(int island, u32 width) {
    u64 size = islands[island].pages * PAGE;
    u64 r = random64(), offset = r % (size - width);
    if (r >> 62 == 0) offset = (size - width) & -(u64)64;
    if (r >> 62 == 1) offset &= -(u64)64;
    if (r >> 59 == 0x10) offset = size - width + (r >> 8 & 15);
    return islands[island].address + offset;
}

/* An address in the window: mostly where there is memory, else anywhere, its edges included. */
static u64 window_target(u32 width) {
    switch (below(12)) {
    case 0: return window + (u32)random64();
    case 1: return window + (u32)-(int)below(80);
    case 2: return window + below(80);
    case 3: return within(LAST, width);
    case 4: return within(MIDDLE, width);
    default: return within(GENERAL, width);
    }
}

static u64 stack_target(u32 width) {
    switch (below(12)) {
    case 0: return window + below(1u << 30);
    case 1: return window - below(1u << 20);
    case 2: return random64();
    case 3: return (u64)((int64_t)(random64() << 17) >> 17);
    case 4: return window + WINDOW_SIZE + below(1u << 20);
    default: return within(PRIVATE, width);
    }
}

static u32 pinned;

static void pin(u8 reg, u64 value) {
    if (!(pinned >> reg & 1)) before[reg] = value;
    pinned |= 1u << reg;
}

/* Set registers so that the access goes somewhere worth testing. */
static void aim(const struct access *a) {
    u64 displacement = (u64)displacement_of(a), target;
    u8 base = a->base, index = a->index;
    switch (a->kind) {
    case STACK:
        pin(RSP, stack_target(a->width) - displacement);
        return;
    case STRING:
        pin(base, window_target(a->width));
        return;
    case BASE_FIXED:
        pin(base, window);
        return;
    case BASE_NEAR:
        pin(base, window);
        pin(index, (u32)(window_target(a->width) - window - displacement));
        return;
    case BASE_TABLE:
        pin(base, window);
        pin(index, below(1 << 16));
        return;
    case TARGET_BITS:
        pin(base, below(4) ? CODE + below(PAGE) : (u32)random64());
        return;
    }
    target = (a->kind == WINDOW ? window_target(a->width) - window : random64()) - displacement;
    u64 garbage = a->flags & SHORT ? random64() << 32 : (u64)below(8) << 32;
    if (base < 16 && base != index && !(pinned >> base & 1)) {
        if (index < 16 && !below(4)) before[index] = hostile_number();
        u64 rest = index < 16 ? before[index] * a->scale : 0;
        if (index < 16) pinned |= 1u << index;
        pin(base, (u32)(target - rest) | garbage);
    } else if (index < 16 && base != index && a->scale) {
        u64 rest = base < 16 ? before[base] : 0;
        pin(index, (u32)(target - rest) / a->scale | garbage);
    } else if (base < 16 && base == index) {
        pin(base, (u32)target / (a->scale + 1u) | garbage);
    }
}

static void choose_registers(const struct form *f) {
    for (int i = 0; i < 16; i++) before[i] = hostile_number();
    if (f->flags & REPEATS) before[1] = below(3) ? 1 + below(9) : below(2) ? 0 : random64();
    pinned = 0;
    pin(RSP, stack_target(8));
    pinned = 0;
    int first = f->accesses ? (int)below(f->accesses) : 0;
    for (int i = 0; i < f->accesses; i++) aim(&f->access[(first + i) % f->accesses]);
    for (int i = 0; i < f->accesses; i++) address[i] = address_of(&f->access[i]);
    if (f->effect == GOES_TO_REGISTER) before[f->effect_register] = CODE + below(PAGE);
    if (f->effect == GOES_TO_MEMORY) {
        u64 target = CODE + below(PAGE);
        int64_t place = place_of(address[0]);
        if (place >= 0 && place_of(address[0] + 7) == place + 7) memcpy(all + place, &target, 8);
    }
    u64 r = random64();
    flags_before = 0x202 | TRAP | (r & STATUS) | (r >> 60 ? 0 : ALIGN);
}

static u8 *xstate(ucontext_t *uc) { return (u8 *)uc->uc_mcontext.fpregs; }

static void load_state(ucontext_t *uc) {
    greg_t *g = uc->uc_mcontext.gregs;
    for (int i = 0; i < 16; i++) g[GREGS[i]] = (greg_t)before[i];
    g[REG_RIP] = (greg_t)start;
    g[REG_EFL] = (greg_t)flags_before;
    u8 *x = xstate(uc);
    memcpy(x, fx, 6);
    memset(x + 6, 0, 18);
    memcpy(x + 24, fx + 24, 4);
    memcpy(x + 32, fx + 32, 384);
    if (!has_xsave) return;
    u64 features;
    memcpy(&features, x + 512, 8);
    features |= 3;
    if (has_avx) features |= 4, memcpy(x + ymm_at, ymm, 256);
    if (has_avx512) {
        features |= 0xe0;
        memcpy(x + opmask_at, opmask, 64);
        memcpy(x + zmm_high_at, zmm_high, 512);
        memcpy(x + zmm_16_at, zmm_16, 1024);
    }
    memcpy(x + 512, &features, 8);
}
