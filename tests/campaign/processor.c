/* Runs single instructions on this CPU and compares what they do with what the verifier believes.
 *
 * Everything happens in a signal handler. It changes the interrupted context to a hostile state with the trap
 * flag set, returns into one instruction, and is called again after that instruction, by the trap or a fault.
 * The forms to run come from standard input and the results go to standard output, in batches (see
 * processor.py, which holds the same two structs).
 *
 * Memory: a window of 4 GiB at gs, nothing around it, and in it a few islands of one or two pages. All islands
 * are pages of one file, which is mapped a second time as a whole, so that one comparison finds every write.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

typedef uint64_t u64;
typedef uint32_t u32;
typedef uint16_t u16;
typedef uint8_t u8;

enum { PAGE = 4096, MOST_ACCESSES = 4, MOST_BOUNDS = 4, MOST_FORMS = 512, NOTHING = 255, RIP = 16, RSP = 4 };

enum arch_prctl { SET_GS = 0x1001, SET_FS, GET_FS, GET_GS };

enum flag {
    BRANCHES = 1, DIRECT = 2, ENDS = 4, CALLS = 8, MOVES_RSP = 16, IS_X87 = 32, IS_AVX = 64, REPEATS = 128,
    WRITES_MXCSR = 256, SETS_RSP = 512,
};

/* How an access may be aimed, and what is promised of it. */
enum kind { WINDOW = 1, STACK, BASE_NEAR, BASE_TABLE, BASE_FIXED, STRING, TARGET_BITS, FLAT };
enum access_flag { SHORT = 1, WRITES = 2, ANCHORS = 4, STORES = 8 };
enum result_of { OF_MEMORY = 1, TO_MEMORY };

struct access { u8 base, index, scale, kind, flags, width; u16 unused; int64_t displacement; };
struct bound { u8 reg, bits; };
struct form {
    u8 length, code[15];
    u32 flags, written, written_vectors, flags_written;
    int64_t adjusts, target;
    u64 seed;
    u32 count;
    u8 accesses, bounds, effect, effect_register;
    struct bound bound[MOST_BOUNDS];
    struct access access[MOST_ACCESSES];
};

enum outcome { COMPLETED, PAGE_FAULT, PROTECTION, ARITHMETIC, UNKNOWN_OPCODE, ALIGNMENT, BREAKPOINT, OUTCOMES };

enum finding {
    FINE, WRONG_LENGTH, REGISTER_CHANGED, RSP_CHANGED, FLAG_CHANGED, X87_CHANGED, MXCSR_CHANGED, VECTOR_CHANGED,
    AVX_CHANGED, AVX512_CHANGED, SEGMENT_CHANGED, FAULT_ELSEWHERE, PROMISE_BROKEN, WRITE_ELSEWHERE, ANCHOR_MISSED,
    NO_RETURN_ADDRESS, BOUND_BROKEN, EFFECT_MISSING, ILLEGAL, CONTINUES, WRONG_RIP, STORE_SKIPPED,
};

struct result {
    u32 outcomes[OUTCOMES], finding;
    u64 execution, value, expected, address[MOST_ACCESSES], before[16], after[16], rip, flags;
    u32 mxcsr, x87_control, x87_status, x87_tags;
};

/* -- the place where it happens ---------------------------------------------------------------------------- */

static const u64 CODE = 0x50000000, WINDOW_SIZE = 1ull << 32, REACH = 512 << 10, MAP = MAP_DISPLACEMENT;
static const u64 BASE = 0x200000000000, WHOLE = 0x300000000000; /* fixed, so that a seed says everything */
static const u64 CONTROL = CONTROL_OFFSET;
static u64 window;

struct island { u64 address; u32 pages; };
enum { GENERAL, PRIVATE, LAST, FIRST, CONTROL_ISLAND, MIDDLE, MAP_ISLAND, ISLANDS, FILE_PAGES = 9 };
static struct island islands[ISLANDS];
static u8 *all, pristine[FILE_PAGES * PAGE], *code_alias;

static void die(const char *what) {
    ssize_t ignored = write(2, what, strlen(what));
    (void)ignored;
    _exit(3);
}

static void *map(u64 address, size_t size, int protection, int flags, int file, u64 offset) {
    void *found = mmap((void *)address, size, protection, flags, file, offset);
    if (found == MAP_FAILED) die("mmap failed\n");
    return found;
}

static void set_up_memory(void) {
    int file = memfd_create("islands", 0), text = memfd_create("text", 0);
    if (file < 0 || text < 0 || ftruncate(file, sizeof pristine) || ftruncate(text, PAGE)) die("memfd failed\n");
    int reserve = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
    map(BASE - 2 * WINDOW_SIZE, 6 * WINDOW_SIZE, PROT_NONE, reserve, -1, 0);
    window = BASE;
    const struct island places[ISLANDS] = {
        [GENERAL] = {window + 0x200000, 2}, [PRIVATE] = {window + 0x30000000, 2}, [LAST] = {window + 0xfffff000, 1},
        [FIRST] = {window, 1}, [CONTROL_ISLAND] = {window + (CONTROL & -PAGE), 1},
        [MIDDLE] = {window + 0x7ffff000, 1}, [MAP_ISLAND] = {MAP + CODE, 1},
    };
    u64 offset = 0;
    for (int i = 0; i < ISLANDS; i++) {
        islands[i] = places[i];
        int placed = i == MAP_ISLAND ? MAP_FIXED_NOREPLACE : MAP_FIXED;
        map(places[i].address, places[i].pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | placed, file, offset);
        offset += places[i].pages * PAGE;
    }
    all = map(WHOLE, sizeof pristine, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, file, 0);
    map(CODE, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED_NOREPLACE, text, 0);
    code_alias = map(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, text, 0);
    if (syscall(SYS_arch_prctl, SET_GS, window)) die("arch_prctl failed\n");
}

/* Where an address is in the file that holds the islands; -1 if it is in none. */
static int64_t place_of(u64 address) {
    int64_t offset = 0;
    for (int i = 0; i < ISLANDS; i++) {
        u64 size = islands[i].pages * PAGE;
        if (address - islands[i].address < size) return offset + (int64_t)(address - islands[i].address);
        offset += (int64_t)size;
    }
    return -1;
}

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
static int has_avx, has_avx512, has_fsgsbase;
static u32 ymm_at, opmask_at, zmm_high_at, zmm_16_at;

static void learn_layout(void) {
    u32 a, b, c, d;
    __cpuid_count(0xd, 0, a, b, c, d);
    has_avx = a >> 2 & 1, has_avx512 = (a >> 5 & 7) == 7;
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

/* -- what it did ------------------------------------------------------------------------------------------- */

static void note(ucontext_t *uc, enum finding finding, u64 value, u64 expected) {
    struct result *r = &results[form_number];
    if (r->finding) return;
    r->finding = finding;
    r->execution = executions;
    r->value = value;
    r->expected = expected;
    memcpy(r->address, address, sizeof address);
    memcpy(r->before, before, sizeof before);
    for (int i = 0; i < 16; i++) r->after[i] = (u64)uc->uc_mcontext.gregs[GREGS[i]];
    r->rip = (u64)uc->uc_mcontext.gregs[REG_RIP];
    r->flags = (u64)uc->uc_mcontext.gregs[REG_EFL];
    u16 control, status;
    memcpy(&r->mxcsr, fx + 24, 4);
    memcpy(&control, fx, 2);
    memcpy(&status, fx + 2, 2);
    r->x87_control = control;
    r->x87_status = status;
    r->x87_tags = fx[4];
}

static enum outcome outcome_of(int signal, const siginfo_t *info) {
    switch (signal) {
    case SIGTRAP: return info->si_code == TRAP_TRACE ? COMPLETED : BREAKPOINT;
    case SIGSEGV: return info->si_code == SI_KERNEL ? PROTECTION : PAGE_FAULT;
    case SIGBUS: return info->si_code == BUS_ADRALN ? ALIGNMENT : PROTECTION;
    case SIGFPE: return ARITHMETIC;
    default: return UNKNOWN_OPCODE;
    }
}

static void check_fault(ucontext_t *uc, const struct form *f, u64 at) {
    int promised = 0, expected = 0;
    for (int i = 0; i < f->accesses; i++) {
        const struct access *a = &f->access[i];
        u64 room = a->kind == WINDOW ? 0 : REACH;
        if (a->kind == STACK) promised |= at - (before[RSP] - REACH - 8) < 2 * REACH + 16 + a->width;
        else if (a->kind == TARGET_BITS) promised |= at - MAP < WINDOW_SIZE;
        else if (a->kind != FLAT) promised |= at - (window - room) < WINDOW_SIZE + 2 * room + a->width;
        else promised = 1; /* what cannot run outside a sequence; its address is known none the less */
        expected |= at - address[i] < a->width;
        if (a->kind == WINDOW && a->flags & SHORT) /* the sum of an operand's parts may wrap in 32 bits */
            expected |= at - (address[i] - WINDOW_SIZE) < a->width;
    }
    if (at - (start + f->length) < 16) note(uc, WRONG_LENGTH, at, start + f->length);
    else if (!promised) note(uc, PROMISE_BROKEN, at, 0);
    else if (!expected) note(uc, FAULT_ELSEWHERE, at, 0);
}

static int has_memory(u64 at, u32 width) {
    for (u32 i = 0; i < width; i++)
        if (place_of(at + i) >= 0) return 1;
    return 0;
}

static void check_rip(ucontext_t *uc, const struct form *f) {
    u64 rip = (u64)uc->uc_mcontext.gregs[REG_RIP], next = start + f->length, target = start + (u64)f->target;
    if (!(f->flags & BRANCHES)) {
        if (f->flags & ENDS) note(uc, CONTINUES, rip, 0);
        else if (rip != next && !(f->flags & REPEATS && rip == start)) note(uc, WRONG_LENGTH, rip, next);
    } else if (f->flags & DIRECT && rip != target && (rip != next || f->flags & (ENDS | CALLS)))
        note(uc, WRONG_RIP, rip, target);
}

static void check_registers(ucontext_t *uc, const struct form *f) {
    const greg_t *g = uc->uc_mcontext.gregs;
    for (int i = 0; i < 16; i++)
        if ((u64)g[GREGS[i]] != before[i] && !(f->written >> i & 1))
            note(uc, i == RSP ? RSP_CHANGED : REGISTER_CHANGED, (u64)i, before[i]);
    u64 moved = (u64)g[REG_RSP] - before[RSP], back = -moved;
    if (f->flags & MOVES_RSP) {
        if (moved != 8 && back != 8) note(uc, RSP_CHANGED, moved, 8);
    } else if (!(f->flags & SETS_RSP) && (moved < back ? moved : back) > (u64)f->adjusts)
        note(uc, RSP_CHANGED, moved, (u64)f->adjusts);
    u64 changed = ((u64)g[REG_EFL] ^ flags_before) & REPORTED;
    if (changed & ~(u64)(f->flags_written & STATUS)) note(uc, FLAG_CHANGED, changed, f->flags_written);
    for (int i = 0; i < f->bounds; i++) {
        u64 value = (u64)g[GREGS[f->bound[i].reg]];
        if (value >> f->bound[i].bits) note(uc, BOUND_BROKEN, value, f->bound[i].bits);
    }
}

static void check_vectors(ucontext_t *uc, const struct form *f) {
    const u8 *x = xstate(uc);
    if (!(f->flags & IS_X87)) {
        u64 old, new;
        memcpy(&old, fx, 8);
        memcpy(&new, x, 8);
        if ((old ^ new) & 0xffffffffffull) note(uc, X87_CHANGED, new, old);
        for (int i = 0; i < 8; i++)
            if (memcmp(x + 32 + 16 * i, fx + 32 + 16 * i, 10)) note(uc, X87_CHANGED, (u64)i, 0);
    }
    u32 old, new;
    memcpy(&old, fx + 24, 4);
    memcpy(&new, x + 24, 4);
    if ((old ^ new) & ~0x3fu && !(f->flags & WRITES_MXCSR)) note(uc, MXCSR_CHANGED, new, old);
    for (int i = 0; i < 16; i++) {
        int low = memcmp(x + 160 + 16 * i, fx + 160 + 16 * i, 16);
        int high = has_avx && memcmp(x + ymm_at + 16 * i, ymm + 16 * i, 16);
        int top = has_avx512 && memcmp(x + zmm_high_at + 32 * i, zmm_high + 32 * i, 32);
        if ((low || high || top) && !(f->written_vectors >> i & 1)) note(uc, VECTOR_CHANGED, (u64)i, 0);
        if ((high || top) && !(f->flags & IS_AVX)) note(uc, AVX_CHANGED, (u64)i, 0);
    }
    if (has_avx512 && (memcmp(x + opmask_at, opmask, 64) || memcmp(x + zmm_16_at, zmm_16, 1024)))
        note(uc, AVX512_CHANGED, 0, 0);
}

static void check_promises(ucontext_t *uc, const struct form *f) {
    const greg_t *g = uc->uc_mcontext.gregs;
    for (int i = 0; i < f->accesses; i++)
        if (f->access[i].flags & ANCHORS && !has_memory(address[i], f->access[i].width))
            note(uc, ANCHOR_MISSED, address[i], f->access[i].width);
    u64 place = (u64)place_of((u64)g[REG_RSP]), found;
    if (f->flags & CALLS) {
        if ((int64_t)place < 0) return note(uc, NO_RETURN_ADDRESS, 0, 0);
        memcpy(&found, (void *)g[REG_RSP], 8);
        if (found != start + f->length) note(uc, NO_RETURN_ADDRESS, found, start + f->length);
    }
    if (f->effect && has_memory(address[0], 1)) {
        u64 value = f->effect == TO_MEMORY ? before[f->effect_register] : (u64)g[GREGS[f->effect_register]];
        found = 0;
        memcpy(&found, (void *)address[0], f->access[0].width < 8 ? f->access[0].width : 8);
        if (found != value) note(uc, EFFECT_MISSING, found, value);
    }
}

/* Which access is a store that surely happens, and has left memory as `filler` was: -1 for none. */
static int skipped_store(const struct form *f, u8 filler) {
    for (int i = 0; i < f->accesses; i++) {
        u32 width = f->access[i].width, same = 0;
        if (~f->access[i].flags & (ANCHORS | STORES)) continue;
        for (u32 byte = 0; byte < width; byte++) {
            int64_t place = place_of(address[i] + byte);
            same += place >= 0 && all[place] == (pristine[place] ^ filler);
        }
        if (same == width) return i;
    }
    return -1;
}

/* It may have stored what was there. The same once more tells, with other bytes there. */
static int try_again(ucontext_t *uc, const struct form *f) {
    static int again;
    int skipped = skipped_store(f, again ? 0xff : 0);
    again = !again && skipped >= 0;
    if (skipped >= 0 && !again) note(uc, STORE_SKIPPED, address[skipped], f->access[skipped].width);
    for (u32 byte = 0; again && byte < f->access[skipped].width; byte++)
        all[place_of(address[skipped] + byte)] ^= 0xff;
    if (again) load_state(uc);
    return again;
}

static void restore(u64 at, u32 width) {
    for (u32 byte = 0; byte < width; byte++) {
        int64_t place = place_of(at + byte);
        if (place >= 0) all[place] = pristine[place];
    }
}

/* Put back what it may write; what else it has written stays, and is found by `check_memory`. Parts of an operand
 * at the end of 4 GiB may wrap to its beginning: a Zen 4 does that to the elements of masked stores. */
static void restore_writes(const struct form *f) {
    for (int i = 0; i < f->accesses; i++) {
        const struct access *a = &f->access[i];
        if (!(a->flags & WRITES)) continue;
        restore(address[i], a->width);
        u64 end = address[i] + a->width - (window + WINDOW_SIZE);
        if (a->kind == WINDOW && a->flags & SHORT && end <= a->width) restore(window, (u32)end);
    }
}

/* Some execution since the last look may have been it: then all run again, with a look after each. */
static void check_memory(ucontext_t *uc) {
    if (!memcmp(all, pristine, sizeof pristine)) return;
    u64 at = 0;
    while (all[at] == pristine[at]) at++;
    if (careful) {
        note(uc, WRITE_ELSEWHERE, at, all[at]);
    } else if (!results[form_number].finding) {
        careful = 1;
        memset(&results[form_number], 0, sizeof *results);
        random_state = forms[form_number].seed;
        executions = ~0u;
    }
    memcpy(all, pristine, sizeof pristine);
}

static u64 base_of(int segment) {
    u64 value;
    if (!has_fsgsbase && syscall(SYS_arch_prctl, segment ? GET_GS : GET_FS, &value)) return 0;
    if (!has_fsgsbase) return value;
    if (segment) __asm__ volatile("rdgsbase %0" : "=r"(value));
    else __asm__ volatile("rdfsbase %0" : "=r"(value));
    return value;
}

/* Returns whether the same state runs once more. */
static int check(ucontext_t *uc, int signal, const siginfo_t *info) {
    const struct form *f = &forms[form_number];
    enum outcome outcome = outcome_of(signal, info);
    results[form_number].outcomes[outcome]++;
    u64 rip = (u64)uc->uc_mcontext.gregs[REG_RIP];
    if (outcome == COMPLETED) {
        check_rip(uc, f);
        check_registers(uc, f);
        check_vectors(uc, f);
        check_promises(uc, f);
    } else {
        if (outcome == PAGE_FAULT) check_fault(uc, f, (u64)info->si_addr);
        if (outcome == UNKNOWN_OPCODE && !(f->flags & ENDS)) note(uc, ILLEGAL, 0, 0);
        if (rip != start && outcome != BREAKPOINT && !(f->flags & BRANCHES)) note(uc, WRONG_RIP, rip, start);
    }
    if (base_of(1) != window || base_of(0) != fs_base) {
        note(uc, SEGMENT_CHANGED, 0, 0);
        syscall(SYS_arch_prctl, SET_GS, window);
        syscall(SYS_arch_prctl, SET_FS, fs_base);
    }
    if (memcmp(&uc->uc_mcontext.gregs[REG_CSGSFS], selectors, 8)) note(uc, SEGMENT_CHANGED, 1, 0);
    if (outcome == COMPLETED && try_again(uc, f)) return 1;
    restore_writes(f);
    if (careful || executions % 16 == 0 || executions + 1 >= f->count) check_memory(uc);
    return 0;
}

/* -- the loop ---------------------------------------------------------------------------------------------- */

static void read_all(void *to, size_t size) {
    for (u8 *at = to; size;) {
        ssize_t got = read(0, at, size);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) _exit(0);
        at += got, size -= (size_t)got;
    }
}

static void write_all(const void *from, size_t size) {
    for (const u8 *at = from; size;) {
        ssize_t put = write(1, at, size);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) _exit(0);
        at += put, size -= (size_t)put;
    }
}

static void begin_form(void) {
    while (form_number >= form_count) {
        if (form_count) write_all(results, form_count * sizeof *results);
        read_all(&form_count, sizeof form_count);
        if (form_count > MOST_FORMS) die("too many forms\n");
        read_all(forms, form_count * sizeof *forms);
        memset(results, 0, sizeof results);
        form_number = 0;
        alarm(60);
    }
    executions = 0;
    careful = 0;
    random_state = forms[form_number].seed;
}

static void next(ucontext_t *uc) {
    if (executions >= forms[form_number].count || results[form_number].finding) form_number++, begin_form();
    const struct form *f = &forms[form_number];
    if (executions % 8 == 0) { /* at the end of the page half of the time, so that reading further faults */
        u32 at = below(2) ? (u32)PAGE - f->length : below(PAGE - 64);
        start = CODE + at;
        memcpy(code_alias + at, f->code, f->length);
    }
    choose_fpu();
    choose_registers(f);
    load_state(uc);
}

static void handle(int signal, siginfo_t *info, void *context) {
    __builtin_ia32_writeeflags_u64(__builtin_ia32_readeflags_u64() & ~(u64)ALIGN); /* the kernel leaves it set */
    ucontext_t *uc = context;
    static int running;
    if (running) {
        if (check(uc, signal, info)) return;
        executions++;
    } else {
        memcpy(selectors, &uc->uc_mcontext.gregs[REG_CSGSFS], 8);
        fs_base = base_of(0);
        begin_form();
    }
    running = 1;
    next(uc);
}

int main(void) {
    static u8 stack[1 << 16];
    set_up_memory();
    learn_layout();
    for (size_t i = 0; i < sizeof pristine; i++) pristine[i] = (u8)random64();
    memcpy(pristine + place_of(window + CONTROL), &window, 8);
    memcpy(all, pristine, sizeof pristine);
    fill(zmm_high, 512), fill(zmm_16, 1024), fill(opmask, 64);
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    if (sigaltstack(&alternate, 0)) die("sigaltstack failed\n");
    const int signals[] = {SIGTRAP, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    for (int i = 0; i < 5; i++)
        if (sigaction(signals[i], &action, 0)) die("sigaction failed\n");
    __asm__ volatile("int3");
    return 0;
}
