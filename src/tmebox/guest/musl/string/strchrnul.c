#include <stddef.h>

#include "vector.h"

char *__strchrnul(const char *string, int byte)
{
	const __m128i zero = _mm_setzero_si128(), wanted = _mm_set1_epi8((char)byte);
	const unsigned char *at = align_down(string);
	unsigned offset = (unsigned)((uintptr_t)string & (VECTOR - 1));
	__m128i block = load_aligned(at);
	unsigned found = (equal_bytes(block, wanted) | equal_bytes(block, zero)) >> offset;
	if (found) return (char *)string + __builtin_ctz(found);
	do {
		at += VECTOR;
		block = load_aligned(at);
		found = equal_bytes(block, wanted) | equal_bytes(block, zero);
	} while (!found);
	return (char *)at + __builtin_ctz(found);
}

extern __typeof__(__strchrnul) strchrnul __attribute__((__weak__, __alias__("__strchrnul")));
