#include <stddef.h>

#include "vector.h"

/* From here on the microcode's fill is faster than 64 bytes at a time. */
enum { STRING_INSTRUCTION_FROM = 2048 };

static inline void set_up_to_16(unsigned char *to, uint64_t pattern, size_t n)
{
	if (n >= 8) {
		store_64(to, pattern);
		store_64(to + n - 8, pattern);
	} else if (n >= 4) {
		store_32(to, (uint32_t)pattern);
		store_32(to + n - 4, (uint32_t)pattern);
	} else if (n >= 2) {
		store_16(to, (uint16_t)pattern);
		store_16(to + n - 2, (uint16_t)pattern);
	} else if (n) {
		*to = (unsigned char)pattern;
	}
}

void *memset(void *start, int byte, size_t n)
{
	unsigned char *to = start, *end = to + n;
	if (n <= 16) {
		set_up_to_16(to, (unsigned char)byte * 0x0101010101010101u, n);
		return start;
	}
	if (n > WIDE_ABOVE) {
		if (has_wide()) return __tmebox_memset_wide(start, byte, n);
		if (n >= STRING_INSTRUCTION_FROM) {
			__asm__ __volatile__("rep stosb" : "+D"(to), "+c"(n) : "a"(byte) : "memory");
			return start;
		}
	}
	__m128i pattern = _mm_set1_epi8((char)byte);
	store(to, pattern);
	store(end - 16, pattern);
	if (n <= 32) return start;
	store(to + 16, pattern);
	store(end - 32, pattern);
	if (n <= 64) return start;
	store(end - 48, pattern);
	store(end - 64, pattern);
	for (to = (unsigned char *)align_down(to + 32); to < end - 64; to += 64) {
		store(to, pattern);
		store(to + 16, pattern);
		store(to + 32, pattern);
		store(to + 48, pattern);
	}
	return start;
}
