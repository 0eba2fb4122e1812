/* memmove of more than WIDE_ABOVE bytes, with vectors of 32 bytes; otherwise as in memmove.c. There is no `rep movsb`: on a
   Zen 3 class processor it takes up to forty times as long as this, by where source and destination lie. */
#include "vector.h"

#define AT(place) (*(const wide *)(place))
#define PUT(place, value) (*(wide *)(place) = (value))

WITHIN_OPTIONAL void copy_up_to_256(unsigned char *to, const unsigned char *from, size_t n)
{
	wide head0 = AT(from), head1 = AT(from + 32), tail0 = AT(from + n - 32), tail1 = AT(from + n - 64);
	if (n > 128) {
		wide head2 = AT(from + 64), head3 = AT(from + 96), tail2 = AT(from + n - 96), tail3 = AT(from + n - 128);
		PUT(to + 64, head2);
		PUT(to + 96, head3);
		PUT(to + n - 96, tail2);
		PUT(to + n - 128, tail3);
	}
	PUT(to, head0);
	PUT(to + 32, head1);
	PUT(to + n - 32, tail0);
	PUT(to + n - 64, tail1);
}

WITHIN_OPTIONAL void copy_128(unsigned char *to, const unsigned char *from)
{
	wide a = AT(from), b = AT(from + 32), c = AT(from + 64), d = AT(from + 96);
	PUT(to, a);
	PUT(to + 32, b);
	PUT(to + 64, c);
	PUT(to + 96, d);
}

/* Upwards, for a destination that does not start inside the source. Stores are aligned. */
WITHIN_OPTIONAL void copy_forward(unsigned char *to, const unsigned char *from, size_t n)
{
	unsigned char *const start = to, *const end = to + n;
	wide head = AT(from);
	wide tail0 = AT(from + n - 32), tail1 = AT(from + n - 64), tail2 = AT(from + n - 96), tail3 = AT(from + n - 128);
	size_t skip = WIDE - ((uintptr_t)to & (WIDE - 1));
	for (to += skip, from += skip; to < end - 128; to += 128, from += 128) copy_128(to, from);
	PUT(start, head);
	PUT(end - 128, tail3);
	PUT(end - 96, tail2);
	PUT(end - 64, tail1);
	PUT(end - 32, tail0);
}

WITHIN_OPTIONAL void copy_backward(unsigned char *to, const unsigned char *from, size_t n)
{
	unsigned char *const start = to, *const last = to + n - 32;
	wide head0 = AT(from), head1 = AT(from + 32), head2 = AT(from + 64), head3 = AT(from + 96);
	wide tail = AT(from + n - 32);
	size_t skip = (uintptr_t)(to + n) & (WIDE - 1);
	for (to += n - skip, from += n - skip; to > start + 128; to -= 128, from -= 128) copy_128(to - 128, from - 128);
	PUT(last, tail);
	PUT(start, head0);
	PUT(start + 32, head1);
	PUT(start + 64, head2);
	PUT(start + 96, head3);
}

void *__tmebox_memmove_wide(void *to, const void *from, size_t n)
{
	if (n <= 256) copy_up_to_256(to, from, n);
	else if ((uintptr_t)to - (uintptr_t)from >= n) copy_forward(to, from, n);
	else copy_backward(to, from, n);
	return to;
}
