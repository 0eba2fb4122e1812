#include <stddef.h>

#include "vector.h"

void *memchr(const void *start, int byte, size_t n)
{
	if (!n) return NULL;
	const __m128i wanted = _mm_set1_epi8((char)byte);
	const unsigned char *at = align_down(start);
	unsigned offset = (unsigned)((uintptr_t)start & (VECTOR - 1));
	unsigned found = equal_bytes(load_aligned(at), wanted) >> offset;
	if (found) {
		size_t index = (size_t)__builtin_ctz(found);
		return index < n ? (unsigned char *)start + index : NULL;
	}
	/* `seen` bytes have been looked at; n may be as large as SIZE_MAX, so nothing is added to it. */
	for (size_t seen = VECTOR - offset; seen < n; seen += VECTOR) {
		at += VECTOR;
		found = equal_bytes(load_aligned(at), wanted);
		if (found) {
			size_t index = (size_t)__builtin_ctz(found);
			return index < n - seen ? (unsigned char *)at + index : NULL;
		}
	}
	return NULL;
}
