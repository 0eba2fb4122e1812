/* memcpy and memmove: one function. Up to 128 bytes everything is loaded before anything is stored, so overlap does
   not matter; above, the direction is chosen, and the ends, which may overlap the middle, are loaded first. */
#include <stddef.h>

#include "vector.h"

/* From here on the microcode's copy is faster than 64 bytes at a time. */
enum { STRING_INSTRUCTION_FROM = 4096 };

static inline void copy_up_to_16(unsigned char *to, const unsigned char *from, size_t n)
{
	if (n >= 8) {
		uint64_t head = load_64(from), tail = load_64(from + n - 8);
		store_64(to, head);
		store_64(to + n - 8, tail);
	} else if (n >= 4) {
		uint32_t head = load_32(from), tail = load_32(from + n - 4);
		store_32(to, head);
		store_32(to + n - 4, tail);
	} else if (n >= 2) {
		uint16_t head = load_16(from), tail = load_16(from + n - 2);
		store_16(to, head);
		store_16(to + n - 2, tail);
	} else if (n) {
		*to = *from;
	}
}

static inline void copy_up_to_128(unsigned char *to, const unsigned char *from, size_t n)
{
	__m128i head0 = load(from), tail0 = load(from + n - 16);
	if (n > 32) {
		__m128i head1 = load(from + 16), tail1 = load(from + n - 32);
		if (n > 64) {
			__m128i head2 = load(from + 32), tail2 = load(from + n - 48);
			__m128i head3 = load(from + 48), tail3 = load(from + n - 64);
			store(to + 32, head2);
			store(to + 48, head3);
			store(to + n - 48, tail2);
			store(to + n - 64, tail3);
		}
		store(to + 16, head1);
		store(to + n - 32, tail1);
	}
	store(to, head0);
	store(to + n - 16, tail0);
}

static inline void copy_64(unsigned char *to, const unsigned char *from)
{
	__m128i a = load(from), b = load(from + 16), c = load(from + 32), d = load(from + 48);
	store(to, a);
	store(to + 16, b);
	store(to + 32, c);
	store(to + 48, d);
}

/* Upwards, for a destination that does not start inside the source. Stores are aligned. */
static void copy_forward(unsigned char *to, const unsigned char *from, size_t n)
{
	unsigned char *const end = to + n;
	const unsigned char *const from_end = from + n;
	__m128i head = load(from);
	__m128i tail0 = load(from_end - 16), tail1 = load(from_end - 32);
	__m128i tail2 = load(from_end - 48), tail3 = load(from_end - 64);
	size_t skip = VECTOR - ((uintptr_t)to & (VECTOR - 1));
	unsigned char *start = to;
	to += skip;
	from += skip;
	size_t left = (size_t)(end - to);
	/* The microcode is slow where the source starts less than a cache line above the destination. */
	if (n >= STRING_INSTRUCTION_FROM && (uintptr_t)from - (uintptr_t)to >= 64) {
		__asm__ __volatile__("rep movsb" : "+D"(to), "+S"(from), "+c"(left) : : "memory");
		store(start, head);
		return;
	}
	for (; to < end - 64; to += 64, from += 64) copy_64(to, from);
	store(start, head);
	store(end - 64, tail3);
	store(end - 48, tail2);
	store(end - 32, tail1);
	store(end - 16, tail0);
}

static void copy_backward(unsigned char *to, const unsigned char *from, size_t n)
{
	unsigned char *const start = to;
	__m128i head0 = load(from), head1 = load(from + 16), head2 = load(from + 32), head3 = load(from + 48);
	__m128i tail = load(from + n - 16);
	unsigned char *last = to + n - 16;
	size_t skip = (uintptr_t)(to + n) & (VECTOR - 1);
	to += n - skip;
	from += n - skip;
	for (; to > start + 64; to -= 64, from -= 64) copy_64(to - 64, from - 64);
	store(last, tail);
	store(start, head0);
	store(start + 16, head1);
	store(start + 32, head2);
	store(start + 48, head3);
}

void *memmove(void *to, const void *from, size_t n)
{
	if (n <= 16) copy_up_to_16(to, from, n);
	else if (n <= WIDE_ABOVE) copy_up_to_128(to, from, n);
	else if (has_wide()) return __tmebox_memmove_wide(to, from, n);
	else if (n <= 128) copy_up_to_128(to, from, n);
	else if ((uintptr_t)to - (uintptr_t)from >= n) copy_forward(to, from, n);
	else copy_backward(to, from, n);
	return to;
}

extern __typeof__(memmove) memcpy __attribute__((__alias__("memmove")));
