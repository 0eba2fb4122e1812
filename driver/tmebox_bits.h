/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Bit arithmetic: registers, page-table entries, offsets, PCONFIG's structure.
 *
 * Pure functions over integers, without the kernel's headers: the tests
 * compile this file in user space. Facts are from Intel's specification of
 * memory encryption technologies (336907), and 343754 for TDX's part.
 */
#ifndef TMEBOX_BITS_H
#define TMEBOX_BITS_H

#include <linux/types.h>
#ifndef __KERNEL__
#include <stdbool.h>
#include <string.h>
#else
#include <linux/string.h>
#endif

#include "tmebox_uapi.h"

#define TMEBOX_PAGE_SHIFT	12
#define TMEBOX_HEAP_PAGES_MAX	(1ULL << (TMEBOX_HEAP_BITS - TMEBOX_PAGE_SHIFT))
#define TMEBOX_ENTRY_ADDRESS_BITS 52

#define TMEBOX_MSR_PARTITIONING	0x087
#define TMEBOX_MSR_ALIASES	0x06f
#define TMEBOX_MSR_CAPABILITY	0x981
#define TMEBOX_MSR_ACTIVATE	0x982
#define TMEBOX_MSR_CORE_ACTIVATE 0x9ff

static inline __u64 tmebox_field(__u64 value, unsigned int high, unsigned int low)
{
	return (value >> low) & ((2ULL << (high - low)) - 1);
}

/* What the processor says of itself. */
struct tmebox_registers {
	bool has_tme;		/* CPUID.7.0:ECX[13] */
	bool has_pconfig;	/* CPUID.7.0:EDX[18] */
	bool has_mktme_target;	/* CPUID.1BH has a leaf of type 1, target 1 */
	bool has_movdir64b;	/* CPUID.7.0:ECX[28] */
	bool has_capability;	/* 0x981 and 0x982 could be read */
	bool has_partitioning;	/* 0x87 could be read */
	bool has_aliases;	/* 0x6f could be read */
	bool has_core_activate;	/* 0x9ff could be read */
	unsigned int address_bits; /* CPUID.80000008H:EAX[7:0] */
	__u64 capability;
	__u64 activate;
	__u64 partitioning;
	__u64 aliases;
	__u64 core_activate;
};

enum tmebox_refusal {
	TMEBOX_USABLE,
	TMEBOX_NO_TME,
	TMEBOX_NO_PCONFIG,
	TMEBOX_NO_MOVDIR64B,
	TMEBOX_NO_REGISTERS,
	TMEBOX_NOT_LOCKED,
	TMEBOX_NOT_ENABLED,
	TMEBOX_BYPASSED,
	TMEBOX_NO_KEY_BITS,
	TMEBOX_NOT_IN_CORE,
	TMEBOX_NO_INTEGRITY,
	TMEBOX_INTEGRITY_NOT_ALLOWED,
	TMEBOX_ALIASES_FORBIDDEN,
	TMEBOX_NO_KEYS_LEFT,
	TMEBOX_BAD_LAYOUT,
	TMEBOX_REFUSALS
};

static inline const char *tmebox_refusal_text(enum tmebox_refusal refusal)
{
	static const char *const texts[TMEBOX_REFUSALS] = {
		[TMEBOX_USABLE] = "usable",
		[TMEBOX_NO_TME] = "the CPU has no memory encryption (TME)",
		[TMEBOX_NO_PCONFIG] = "the CPU cannot program keys (no PCONFIG for TME-MK)",
		[TMEBOX_NO_MOVDIR64B] = "the CPU has no MOVDIR64B",
		[TMEBOX_NO_REGISTERS] = "the TME registers cannot be read",
		[TMEBOX_NOT_LOCKED] = "the firmware left TME_ACTIVATE unlocked",
		[TMEBOX_NOT_ENABLED] = "the firmware did not enable TME",
		[TMEBOX_BYPASSED] = "TME is bypassed",
		[TMEBOX_NO_KEY_BITS] = "the firmware gave TME-MK no KeyID bits",
		[TMEBOX_NOT_IN_CORE] = "the firmware did not give the core its KeyID bits (MK_TME_CORE_ACTIVATE)",
		[TMEBOX_NO_INTEGRITY] = "the CPU has no integrity for AES-XTS-128",
		[TMEBOX_INTEGRITY_NOT_ALLOWED] = "the firmware does not allow keys with integrity",
		[TMEBOX_ALIASES_FORBIDDEN] = "the CPU forbids one page under several KeyIDs",
		[TMEBOX_NO_KEYS_LEFT] = "TDX has all the keys",
		[TMEBOX_BAD_LAYOUT] = "the KeyID bits do not fit a page-table entry",
	};

	return refusal < TMEBOX_REFUSALS ? texts[refusal] : "unknown";
}

/* Where KeyIDs are in an entry, and how many may be used. */
struct tmebox_layout {
	unsigned int key_bits;
	unsigned int key_shift;
	unsigned int keys;	/* 1 … keys */
	unsigned int algorithms;
};

static inline bool tmebox_layout_fits(unsigned int bits, unsigned int shift, unsigned int address_bits)
{
	return bits >= 1 && bits <= TMEBOX_KEY_BITS_MAX && shift > TMEBOX_PAGE_SHIFT &&
	       address_bits <= TMEBOX_ENTRY_ADDRESS_BITS && shift < address_bits &&
	       bits <= address_bits - shift;
}

static inline bool tmebox_active(__u64 activate)
{
	return (activate & 3) == 3 && tmebox_field(activate, 35, 32) > 0;
}

/* Until the core's register is written, the core takes KeyID bits for a part of the address. */
static inline bool tmebox_core_agrees(__u64 activate, __u64 core_activate)
{
	return tmebox_field(core_activate, 35, 32) == tmebox_field(activate, 35, 32);
}

/* Sets *layout only if the result is TMEBOX_USABLE. */
static inline enum tmebox_refusal tmebox_hardware_layout(const struct tmebox_registers *r,
							 struct tmebox_layout *layout)
{
	unsigned int bits, for_tdx, keys;
	__u64 most;

	if (!r->has_tme)
		return TMEBOX_NO_TME;
	if (!r->has_pconfig || !r->has_mktme_target)
		return TMEBOX_NO_PCONFIG;
	if (!r->has_movdir64b)
		return TMEBOX_NO_MOVDIR64B;
	if (!r->has_capability)
		return TMEBOX_NO_REGISTERS;
	if (!(r->activate & 1))
		return TMEBOX_NOT_LOCKED;
	if (!(r->activate & 2))
		return TMEBOX_NOT_ENABLED;
	if (r->activate & (1ULL << 31))
		return TMEBOX_BYPASSED;
	bits = tmebox_field(r->activate, 35, 32);
	if (!bits)
		return TMEBOX_NO_KEY_BITS;
	if (r->has_core_activate && !tmebox_core_agrees(r->activate, r->core_activate))
		return TMEBOX_NOT_IN_CORE;
	if (!(r->capability & TMEBOX_AES_XTS_128_INTEGRITY))
		return TMEBOX_NO_INTEGRITY;
	if (!(tmebox_field(r->activate, 63, 48) & TMEBOX_AES_XTS_128_INTEGRITY))
		return TMEBOX_INTEGRITY_NOT_ALLOWED;
	if (r->has_aliases && (r->aliases & (1ULL << 8)))
		return TMEBOX_ALIASES_FORBIDDEN;
	if (r->address_bits <= bits ||
	    !tmebox_layout_fits(bits, r->address_bits - bits, r->address_bits))
		return TMEBOX_BAD_LAYOUT;
	for_tdx = tmebox_field(r->activate, 39, 36);
	if (for_tdx >= bits)
		return TMEBOX_NO_KEYS_LEFT;
	keys = (1U << (bits - for_tdx)) - 1;
	most = tmebox_field(r->capability, 50, 36);
	if (most < keys)
		keys = most;
	if (r->has_partitioning) {
		most = tmebox_field(r->partitioning, 31, 0);
		if (most < keys)
			keys = most;
	}
	if (!keys)
		return TMEBOX_NO_KEYS_LEFT;
	layout->key_bits = bits;
	layout->key_shift = r->address_bits - bits;
	layout->keys = keys;
	layout->algorithms = tmebox_field(r->activate, 63, 48) & tmebox_field(r->capability, 3, 0);
	return TMEBOX_USABLE;
}

/* The bits that a page-table entry gets beside the page's address. */
static inline __u64 tmebox_entry_bits(const struct tmebox_layout *layout, unsigned int key)
{
	return (__u64)key << layout->key_shift;
}

/* A page frame whose own address has KeyID bits would be another page. */
static inline bool tmebox_frame_fits(const struct tmebox_layout *layout, __u64 frame)
{
	return !(frame >> (layout->key_shift - TMEBOX_PAGE_SHIFT));
}

/* What a machine check logs has the KeyID in its address. */
static inline __u64 tmebox_address_without_key(const struct tmebox_layout *layout, __u64 address)
{
	return address & ~(((1ULL << layout->key_bits) - 1) << layout->key_shift);
}

/* An mmap offset, in pages, taken apart. */
struct tmebox_place {
	unsigned int key;
	bool alias;
	__u64 page;
};

#define TMEBOX_PAGE_BITS (TMEBOX_HEAP_BITS - TMEBOX_PAGE_SHIFT)

static inline bool tmebox_place_of(__u64 page_offset, struct tmebox_place *place)
{
	const __u64 alias = TMEBOX_ALIAS >> TMEBOX_PAGE_SHIFT;
	__u64 key = (page_offset & ~alias) >> TMEBOX_PAGE_BITS;

	if (key >> TMEBOX_KEY_BITS_MAX)
		return false;
	place->key = key;
	place->alias = page_offset & alias;
	place->page = page_offset & (TMEBOX_HEAP_PAGES_MAX - 1);
	return true;
}

/* Never computes first + count, which may wrap. */
static inline bool tmebox_range_fits(__u64 pages, __u64 first, __u64 count)
{
	return count > 0 && first < pages && count <= pages - first;
}

static inline bool tmebox_grant_makes_sense(unsigned int key, unsigned int rights)
{
	const unsigned int for_a_view = TMEBOX_WRITE | TMEBOX_AS_OWNER;

	if (!rights || rights & ~(TMEBOX_READ | TMEBOX_OWNER | for_a_view))
		return false;
	if ((rights & for_a_view) && !(rights & TMEBOX_READ))
		return false;
	if ((rights & TMEBOX_AS_OWNER) && (rights & TMEBOX_OWNER))
		return false;
	return key || rights == TMEBOX_OWNER;
}

static inline bool tmebox_revocation_makes_sense(unsigned int key, unsigned int rights)
{
	return key && rights && !(rights & ~(TMEBOX_READ | TMEBOX_WRITE));
}

/* PCONFIG, leaf 0: the structure that RBX points to. */
enum tmebox_key_command {
	TMEBOX_KEY_DIRECT = 0,
	TMEBOX_KEY_RANDOM = 1,
	TMEBOX_KEY_CLEAR = 2,
	TMEBOX_KEY_NO_ENCRYPT = 3,
};

struct tmebox_key_program {
	__u16 key;
	__u32 control;			/* command 7:0, algorithm 23:8 */
	__u8 reserved[58];
	__u8 data_key[64];		/* RANDOM: entropy */
	__u8 tweak_key[64];
	__u8 padding[64];
} __attribute__((packed, aligned(256)));

static inline void tmebox_key_program_set(struct tmebox_key_program *program, unsigned int key,
					  enum tmebox_key_command command, unsigned int algorithm)
{
	memset(program, 0, sizeof(*program));
	program->key = key;
	program->control = command | algorithm << 8;
}

/* PCONFIG's answers, in EAX. */
enum tmebox_key_status {
	TMEBOX_KEY_DONE = 0,
	TMEBOX_KEY_BAD_COMMAND = 1,
	TMEBOX_KEY_NO_ENTROPY = 2,
	TMEBOX_KEY_BAD_KEY = 3,
	TMEBOX_KEY_BAD_ALGORITHM = 4,
	TMEBOX_KEY_BUSY = 5,
};

static inline bool tmebox_worth_another_try(unsigned int status)
{
	return status == TMEBOX_KEY_NO_ENTROPY || status == TMEBOX_KEY_BUSY;
}

#endif
