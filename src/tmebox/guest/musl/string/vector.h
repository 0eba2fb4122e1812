/* 16-byte vectors for the string functions. Loads that only look (strlen, memchr) are aligned, so they never
   touch a page that holds none of the string. */
#pragma once

#include <emmintrin.h>
#include <stddef.h>
#include <stdint.h>

#include "abi.h"

enum { VECTOR = 16 };

static inline __m128i load(const void *from)
{
	return _mm_loadu_si128(from);
}

static inline void store(void *to, __m128i value)
{
	_mm_storeu_si128(to, value);
}

static inline __m128i load_aligned(const void *from)
{
	return _mm_load_si128(from);
}

static inline const unsigned char *align_down(const void *pointer)
{
	return (const unsigned char *)((uintptr_t)pointer & -(uintptr_t)VECTOR);
}

/* Bit i is set where byte i of both is the same. */
static inline unsigned equal_bytes(__m128i a, __m128i b)
{
	return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(a, b));
}

/* Loads and stores of small integers at any alignment. */
#define UNALIGNED(type, name)                                                                          \
	typedef struct {                                                                               \
		type value;                                                                            \
	} __attribute__((__packed__, __may_alias__)) unaligned_##name;                                 \
	static inline type load_##name(const void *from)                                               \
	{                                                                                              \
		return ((const unaligned_##name *)from)->value;                                        \
	}                                                                                              \
	static inline void store_##name(void *to, type value)                                          \
	{                                                                                              \
		((unaligned_##name *)to)->value = value;                                               \
	}

UNALIGNED(uint16_t, 16)
UNALIGNED(uint32_t, 32)
UNALIGNED(uint64_t, 64)

/* Vectors of 32 bytes, for code that runs only where CONTROL_PROCESSOR says so: the loader does not ask the processor
   about code in this section. Below 64 bytes they win nothing. */
enum { WIDE = 32, WIDE_ABOVE = 64 };
#define OPTIONAL __attribute__((__section__(".text.tmebox_optional"), __target__("avx2"), __visibility__("hidden")))

#define WITHIN_OPTIONAL static inline __attribute__((__always_inline__, __target__("avx2")))

typedef long long wide __attribute__((__vector_size__(32), __aligned__(1), __may_alias__));

static inline int has_wide(void)
{
	return *(const unsigned *)TMEBOX_CONTROL_PROCESSOR & TMEBOX_PROCESSOR_AVX2;
}

OPTIONAL void *__tmebox_memmove_wide(void *to, const void *from, size_t n);
OPTIONAL void *__tmebox_memset_wide(void *start, int byte, size_t n);
