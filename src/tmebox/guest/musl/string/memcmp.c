#include <stddef.h>

#include "vector.h"

static inline int first_difference(const unsigned char *a, const unsigned char *b, unsigned different)
{
	unsigned index = (unsigned)__builtin_ctz(different);
	return a[index] - b[index];
}

static inline unsigned different_bytes(const unsigned char *a, const unsigned char *b)
{
	return equal_bytes(load(a), load(b)) ^ 0xffff;
}

int memcmp(const void *left, const void *right, size_t n)
{
	const unsigned char *a = left, *b = right;
	unsigned different;
	if (n < VECTOR) {
		for (; n; n--, a++, b++)
			if (*a != *b) return *a - *b;
		return 0;
	}
	/* The last vector overlaps the one before it, whose bytes were the same. */
	for (; n > VECTOR; n -= VECTOR, a += VECTOR, b += VECTOR)
		if ((different = different_bytes(a, b))) return first_difference(a, b, different);
	a -= VECTOR - n;
	b -= VECTOR - n;
	different = different_bytes(a, b);
	return different ? first_difference(a, b, different) : 0;
}
