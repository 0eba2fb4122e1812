/* AVX2's intrinsics, with gathers made of single loads: a gather takes 64-bit addresses that nothing bounds, so a
   sandbox has none. Found instead of the compiler's own header, which it includes. */
#ifndef TMEBOX_AVX2INTRIN_H
#define TMEBOX_AVX2INTRIN_H

#include_next <avx2intrin.h>

#ifdef __clang__

/* COUNT items of type ITEM, which has the bits of the mask's type SIGNED; the others of the result are zero. */
#define TMEBOX_GATHER(NAME, MASKED, RESULT, ITEM, SIGNED, COUNT, INDEX, OFFSET) \
	static __inline__ RESULT __attribute__((__always_inline__, __nodebug__, __target__("avx2"))) \
	tmebox##MASKED(RESULT source, const void *base, INDEX index, RESULT mask, int scale) \
	{ \
		union { RESULT whole; ITEM item[sizeof(RESULT) / sizeof(ITEM)]; SIGNED sign[sizeof(RESULT) / sizeof(ITEM)]; } \
			from, chosen, result; \
		union { INDEX whole; OFFSET item[sizeof(INDEX) / sizeof(OFFSET)]; } places; \
		unsigned long k; \
		from.whole = source; \
		chosen.whole = mask; \
		places.whole = index; \
		for (k = 0; k < sizeof(RESULT) / sizeof(ITEM); k++) { \
			result.sign[k] = 0; \
			if (k < (COUNT)) { \
				result.item[k] = from.item[k]; \
				if (chosen.sign[k] < 0) \
					__builtin_memcpy(&result.item[k], (const char *)base + (long)places.item[k] * scale, sizeof(ITEM)); \
			} \
		} \
		return result.whole; \
	} \
	static __inline__ RESULT __attribute__((__always_inline__, __nodebug__, __target__("avx2"))) \
	tmebox##NAME(const void *base, INDEX index, int scale) \
	{ \
		union { RESULT whole; SIGNED sign[sizeof(RESULT) / sizeof(SIGNED)]; } all, none; \
		unsigned long k; \
		for (k = 0; k < sizeof(RESULT) / sizeof(SIGNED); k++) { all.sign[k] = -1; none.sign[k] = 0; } \
		return tmebox##MASKED(none.whole, base, index, all.whole, scale); \
	}

TMEBOX_GATHER(_mm_i32gather_pd, _mm_mask_i32gather_pd, __m128d, double, long, 2, __m128i, int)
TMEBOX_GATHER(_mm256_i32gather_pd, _mm256_mask_i32gather_pd, __m256d, double, long, 4, __m128i, int)
TMEBOX_GATHER(_mm_i64gather_pd, _mm_mask_i64gather_pd, __m128d, double, long, 2, __m128i, long)
TMEBOX_GATHER(_mm256_i64gather_pd, _mm256_mask_i64gather_pd, __m256d, double, long, 4, __m256i, long)
TMEBOX_GATHER(_mm_i32gather_ps, _mm_mask_i32gather_ps, __m128, float, int, 4, __m128i, int)
TMEBOX_GATHER(_mm256_i32gather_ps, _mm256_mask_i32gather_ps, __m256, float, int, 8, __m256i, int)
TMEBOX_GATHER(_mm_i64gather_ps, _mm_mask_i64gather_ps, __m128, float, int, 2, __m128i, long)
TMEBOX_GATHER(_mm256_i64gather_ps, _mm256_mask_i64gather_ps, __m128, float, int, 4, __m256i, long)
TMEBOX_GATHER(_mm_i32gather_epi64, _mm_mask_i32gather_epi64, __m128i, long, long, 2, __m128i, int)
TMEBOX_GATHER(_mm256_i32gather_epi64, _mm256_mask_i32gather_epi64, __m256i, long, long, 4, __m128i, int)
TMEBOX_GATHER(_mm_i64gather_epi64, _mm_mask_i64gather_epi64, __m128i, long, long, 2, __m128i, long)
TMEBOX_GATHER(_mm256_i64gather_epi64, _mm256_mask_i64gather_epi64, __m256i, long, long, 4, __m256i, long)
TMEBOX_GATHER(_mm_i32gather_epi32, _mm_mask_i32gather_epi32, __m128i, int, int, 4, __m128i, int)
TMEBOX_GATHER(_mm256_i32gather_epi32, _mm256_mask_i32gather_epi32, __m256i, int, int, 8, __m256i, int)
TMEBOX_GATHER(_mm_i64gather_epi32, _mm_mask_i64gather_epi32, __m128i, int, int, 2, __m128i, long)
TMEBOX_GATHER(_mm256_i64gather_epi32, _mm256_mask_i64gather_epi32, __m128i, int, int, 4, __m256i, long)

#undef _mm_i32gather_pd
#define _mm_i32gather_pd tmebox_mm_i32gather_pd
#undef _mm_mask_i32gather_pd
#define _mm_mask_i32gather_pd tmebox_mm_mask_i32gather_pd
#undef _mm256_i32gather_pd
#define _mm256_i32gather_pd tmebox_mm256_i32gather_pd
#undef _mm256_mask_i32gather_pd
#define _mm256_mask_i32gather_pd tmebox_mm256_mask_i32gather_pd
#undef _mm_i64gather_pd
#define _mm_i64gather_pd tmebox_mm_i64gather_pd
#undef _mm_mask_i64gather_pd
#define _mm_mask_i64gather_pd tmebox_mm_mask_i64gather_pd
#undef _mm256_i64gather_pd
#define _mm256_i64gather_pd tmebox_mm256_i64gather_pd
#undef _mm256_mask_i64gather_pd
#define _mm256_mask_i64gather_pd tmebox_mm256_mask_i64gather_pd
#undef _mm_i32gather_ps
#define _mm_i32gather_ps tmebox_mm_i32gather_ps
#undef _mm_mask_i32gather_ps
#define _mm_mask_i32gather_ps tmebox_mm_mask_i32gather_ps
#undef _mm256_i32gather_ps
#define _mm256_i32gather_ps tmebox_mm256_i32gather_ps
#undef _mm256_mask_i32gather_ps
#define _mm256_mask_i32gather_ps tmebox_mm256_mask_i32gather_ps
#undef _mm_i64gather_ps
#define _mm_i64gather_ps tmebox_mm_i64gather_ps
#undef _mm_mask_i64gather_ps
#define _mm_mask_i64gather_ps tmebox_mm_mask_i64gather_ps
#undef _mm256_i64gather_ps
#define _mm256_i64gather_ps tmebox_mm256_i64gather_ps
#undef _mm256_mask_i64gather_ps
#define _mm256_mask_i64gather_ps tmebox_mm256_mask_i64gather_ps
#undef _mm_i32gather_epi64
#define _mm_i32gather_epi64 tmebox_mm_i32gather_epi64
#undef _mm_mask_i32gather_epi64
#define _mm_mask_i32gather_epi64 tmebox_mm_mask_i32gather_epi64
#undef _mm256_i32gather_epi64
#define _mm256_i32gather_epi64 tmebox_mm256_i32gather_epi64
#undef _mm256_mask_i32gather_epi64
#define _mm256_mask_i32gather_epi64 tmebox_mm256_mask_i32gather_epi64
#undef _mm_i64gather_epi64
#define _mm_i64gather_epi64 tmebox_mm_i64gather_epi64
#undef _mm_mask_i64gather_epi64
#define _mm_mask_i64gather_epi64 tmebox_mm_mask_i64gather_epi64
#undef _mm256_i64gather_epi64
#define _mm256_i64gather_epi64 tmebox_mm256_i64gather_epi64
#undef _mm256_mask_i64gather_epi64
#define _mm256_mask_i64gather_epi64 tmebox_mm256_mask_i64gather_epi64
#undef _mm_i32gather_epi32
#define _mm_i32gather_epi32 tmebox_mm_i32gather_epi32
#undef _mm_mask_i32gather_epi32
#define _mm_mask_i32gather_epi32 tmebox_mm_mask_i32gather_epi32
#undef _mm256_i32gather_epi32
#define _mm256_i32gather_epi32 tmebox_mm256_i32gather_epi32
#undef _mm256_mask_i32gather_epi32
#define _mm256_mask_i32gather_epi32 tmebox_mm256_mask_i32gather_epi32
#undef _mm_i64gather_epi32
#define _mm_i64gather_epi32 tmebox_mm_i64gather_epi32
#undef _mm_mask_i64gather_epi32
#define _mm_mask_i64gather_epi32 tmebox_mm_mask_i64gather_epi32
#undef _mm256_i64gather_epi32
#define _mm256_i64gather_epi32 tmebox_mm256_i64gather_epi32
#undef _mm256_mask_i64gather_epi32
#define _mm256_mask_i64gather_epi32 tmebox_mm256_mask_i64gather_epi32

#undef TMEBOX_GATHER
#endif
#endif
