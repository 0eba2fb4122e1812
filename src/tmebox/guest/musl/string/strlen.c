#include <stddef.h>

#include "vector.h"

size_t strlen(const char *string)
{
	const __m128i zero = _mm_setzero_si128();
	const unsigned char *at = align_down(string);
	unsigned offset = (unsigned)((uintptr_t)string & (VECTOR - 1));
	unsigned found = equal_bytes(load_aligned(at), zero) >> offset;
	if (found) return (size_t)__builtin_ctz(found);
	do {
		at += VECTOR;
		found = equal_bytes(load_aligned(at), zero);
	} while (!found);
	return (size_t)(at - (const unsigned char *)string) + (size_t)__builtin_ctz(found);
}
