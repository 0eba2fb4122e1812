/* What processor.py sends and gets: forms, and what came of running them. described.py holds the same. */
#pragma once
#include <stdint.h>

typedef uint64_t u64;
typedef uint32_t u32;
typedef uint16_t u16;
typedef uint8_t u8;

enum { PAGE = 4096, MOST_ACCESSES = 4, MOST_BOUNDS = 4, MOST_FORMS = 512, NOTHING = 255, RIP = 16, RSP = 4 };

enum arch_prctl { SET_GS = 0x1001, SET_FS, GET_FS, GET_GS };

enum flag {
    BRANCHES = 1, DIRECT = 2, ENDS = 4, CALLS = 8, MOVES_RSP = 16, IS_X87 = 32, IS_AVX = 64, REPEATS = 128,
    WRITES_MXCSR = 256, SETS_RSP = 512, HAS_DEPTH = 1024,
};

/* How an access may be aimed, and what is promised of it. */
enum kind { WINDOW = 1, STACK, BASE_NEAR, BASE_TABLE, BASE_FIXED, STRING, TARGET_BITS, FLAT };
enum access_flag { SHORT = 1, WRITES = 2, ANCHORS = 4, STORES = 8 };

/* What a step of a sequence does exactly, with `effect_register` r: r = memory; memory = r; control goes to what
 * memory or r holds; the zero flag is !(memory & r), where r is a number; r's lower four bits name a register to
 * which the upper four's is added, or memory; the zero flag is memory == r, a number. */
enum effect { LOADS = 1, STORES_REGISTER, GOES_TO_MEMORY, GOES_TO_REGISTER, TESTS, ADDS_REGISTER, ADDS_MEMORY, COMPARES };

struct access { u8 base, index, scale, kind, flags, width; u16 unused; int64_t displacement; };
struct bound { u8 reg, bits; };
struct form {
    u8 length, code[15];
    u32 flags, written, written_vectors, flags_written;
    int64_t adjusts, target;
    int64_t deepens, written_up_to; /* with HAS_DEPTH: rsp goes down by so much; the end, from rsp, of writes through it */
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
    NOT_RESTARTABLE, DEPTH_CHANGED, RETURN_ADDRESS_REACHED,
};

struct result {
    u32 outcomes[OUTCOMES], finding;
    u64 execution, value, expected, address[MOST_ACCESSES], before[16], after[16], rip, flags;
    u32 mxcsr, x87_control, x87_status, x87_tags;
};
