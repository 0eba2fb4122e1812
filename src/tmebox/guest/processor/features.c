/* What the processor has, as far as a sandbox is told: what its module's code needs, which the host has seen to be
   there. So programs that look for a faster way at run time find those ways that they brought, and no others.
   Answers cpuid and xgetbv, and what __builtin_cpu_supports and __builtin_cpu_is read. */
#include "abi.h"
#include "processor.h"

#define CONSTRUCTOR __attribute__((constructor(101)))
/* Without vector registers, whose contents cpuid leaves alone. */
#define ON_INTEGERS __attribute__((target("general-regs-only")))

enum { EAX, EBX, ECX, EDX };
enum { BASIC_LEAVES = 7, EXTENDED_LEAVES = 0x80000004u };
enum { OSXSAVE = 1 << 27, XSAVE = 1 << 26, AVX = 1 << 28 };
enum { X87_AND_SSE = 3, YMM = 4 };

/* fpu, tsc, cx8, cmov, mmx, fxsr, sse, sse2; long mode: what every x86-64 processor has. */
#define BASELINE_EDX (1u << 0 | 1u << 4 | 1u << 8 | 1u << 15 | 1u << 23 | 1u << 24 | 1u << 25 | 1u << 26)
#define LONG_MODE (1u << 29)
#define FAMILY_6 0x600u

/* The host fills it: ecx of leaf 1, ebx and ecx of leaf 7, ecx of leaf 0x80000001. Until then: nothing. */
static unsigned told[4];
enum { LEAF_1_ECX, LEAF_7_EBX, LEAF_7_ECX, EXTENDED_ECX };

static const char vendor[12] = "Tmebox Boxes", brand[48] = "tmebox";

static ON_INTEGERS unsigned word(const char *text)
{
	const unsigned char *bytes = (const unsigned char *)text;
	return bytes[0] | bytes[1] << 8 | bytes[2] << 16 | (unsigned)bytes[3] << 24;
}

HIDDEN ON_INTEGERS void __tmebox_answer_cpuid(unsigned leaf, unsigned subleaf, unsigned result[4])
{
	unsigned ecx = told[LEAF_1_ECX];
	for (int i = 0; i < 4; i++) result[i] = 0;
	if (leaf == 0) {
		result[EAX] = BASIC_LEAVES;
		result[EBX] = word(vendor);
		result[EDX] = word(vendor + 4);
		result[ECX] = word(vendor + 8);
	} else if (leaf == 1) {
		result[EAX] = FAMILY_6;
		result[EBX] = 1 << 16 | 8 << 8; /* one logical processor; lines of 64 bytes */
		result[ECX] = ecx & AVX ? ecx | OSXSAVE | XSAVE : ecx;
		result[EDX] = BASELINE_EDX;
	} else if (leaf == 7 && subleaf == 0) {
		result[EBX] = told[LEAF_7_EBX];
		result[ECX] = told[LEAF_7_ECX];
	} else if (leaf == 0x80000000u) {
		result[EAX] = EXTENDED_LEAVES;
	} else if (leaf == 0x80000001u) {
		result[ECX] = told[EXTENDED_ECX] | 1; /* lahf in 64-bit code */
		result[EDX] = LONG_MODE;
	} else if (leaf >= 0x80000002u && leaf <= EXTENDED_LEAVES) {
		const char *part = brand + (leaf - 0x80000002u) * 16;
		for (int i = 0; i < 4; i++) result[i] = word(part + 4 * i);
	}
}

HIDDEN ON_INTEGERS unsigned __tmebox_answer_xgetbv(unsigned index)
{
	if (index != 0) return 0;
	return told[LEAF_1_ECX] & AVX ? X87_AND_SSE | YMM : X87_AND_SSE;
}

/* Compilers number features; those from 32 on are in __cpu_features2. */
struct {
	unsigned vendor, type, subtype, features[1];
} __cpu_model = { 0, 0, 0, { 1u << 0 | 1u << 3 | 1u << 4 } };
enum { BASELINE = 95 };
unsigned __cpu_features2[4] = { [BASELINE / 32 - 1] = 1u << BASELINE % 32 };

static const struct {
	unsigned char word, bit, number;
} numbered[] = {
	{ LEAF_1_ECX, 0, 5 }, { LEAF_1_ECX, 1, 19 }, { LEAF_1_ECX, 9, 6 }, { LEAF_1_ECX, 12, 14 },
	{ LEAF_1_ECX, 13, 46 }, { LEAF_1_ECX, 19, 7 }, { LEAF_1_ECX, 20, 8 }, { LEAF_1_ECX, 22, 58 },
	{ LEAF_1_ECX, 23, 2 }, { LEAF_1_ECX, 25, 18 }, { LEAF_1_ECX, 28, 9 }, { LEAF_1_ECX, 29, 49 },
	{ LEAF_1_ECX, 30, 69 }, { LEAF_7_EBX, 3, 16 }, { LEAF_7_EBX, 5, 10 }, { LEAF_7_EBX, 8, 17 },
	{ LEAF_7_EBX, 18, 70 }, { LEAF_7_EBX, 19, 40 }, { LEAF_7_EBX, 29, 74 }, { EXTENDED_ECX, 5, 57 },
	{ EXTENDED_ECX, 8, 66 },
};

/* The levels that code is compiled for, -march=x86-64-v3 say: the bits that make up each, beside those of the one
   before. Level 4 is never there. */
static const struct {
	unsigned char number;
	unsigned needs[4];
} levels[] = {
	{ 96, { 1u << 0 | 1u << 9 | 1u << 13 | 1u << 19 | 1u << 20 | 1u << 23 } },
	{ 97, { 1u << 12 | 1u << 22 | 1u << 28 | 1u << 29, 1u << 3 | 1u << 5 | 1u << 8, 0, 1u << 5 } },
};

static void has(unsigned number)
{
	if (number < 32) __cpu_model.features[0] |= 1u << number;
	else __cpu_features2[number / 32 - 1] |= 1u << number % 32;
}

static CONSTRUCTOR void learn(void)
{
	const long arguments[6] = { (long)told };
	if (__tmebox_syscall(TMEBOX_SYS_CPU_FEATURES, arguments) != 0) return;
	for (unsigned i = 0; i < sizeof numbered / sizeof *numbered; i++) {
		if (told[numbered[i].word] >> numbered[i].bit & 1) has(numbered[i].number);
	}
	for (unsigned i = 0; i < sizeof levels / sizeof *levels; i++) {
		for (int word = 0; word < 4; word++)
			if (levels[i].needs[word] & ~told[word]) return;
		has(levels[i].number);
	}
}

int __cpu_indicator_init(void)
{
	return 0;
}
