#include <stddef.h>

#include "vector.h"

enum { PAGE = 4096 };

static inline int crosses_page(const unsigned char *pointer)
{
	return ((uintptr_t)pointer & (PAGE - 1)) > PAGE - VECTOR;
}

int strcmp(const char *left, const char *right)
{
	const __m128i zero = _mm_setzero_si128();
	const unsigned char *a = (const unsigned char *)left, *b = (const unsigned char *)right;
	/* Most comparisons end at the first byte. */
	if (*a != *b) return *a - *b;
	for (;;) {
		if (crosses_page(a) || crosses_page(b)) {
			/* Byte by byte until neither pointer's next 16 bytes reach into another page. */
			for (int i = 0; i < VECTOR; i++, a++, b++)
				if (*a != *b || !*a) return *a - *b;
			continue;
		}
		__m128i block = load(a);
		unsigned stop = (equal_bytes(block, load(b)) ^ 0xffff) | equal_bytes(block, zero);
		if (stop) {
			unsigned index = (unsigned)__builtin_ctz(stop);
			return a[index] - b[index];
		}
		a += VECTOR;
		b += VECTOR;
	}
}
