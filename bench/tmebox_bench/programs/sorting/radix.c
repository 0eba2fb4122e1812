/* Radix sort by bytes, least significant first. */
#include "numbers.h"

static void pass(uint32_t *to, const uint32_t *from, int shift)
{
	int starts[257] = { 0 };
	for (int i = 0; i < COUNT; i++) starts[(from[i] >> shift & 255) + 1]++;
	for (int i = 0; i < 256; i++) starts[i + 1] += starts[i];
	for (int i = 0; i < COUNT; i++) to[starts[from[i] >> shift & 255]++] = from[i];
}

static void sort(void)
{
	for (int shift = 0; shift < 32; shift += 16) {
		pass(spare, numbers, shift);
		pass(numbers, spare, shift + 8);
	}
}
