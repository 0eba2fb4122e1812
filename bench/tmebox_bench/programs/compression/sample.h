/* Something to compress: words, repeats and a little noise. */
#pragma once

#include "../bench.h"

static void make_sample(uint8_t *data, size_t size, uint32_t seed)
{
	static const char *const words[] = { "sandbox ", "window ", "the ", "memory ", "of ", "line ", "key ", "and ", "trap\n" };
	size_t at = 0;
	while (at < size) {
		uint32_t choice = next_random(&seed);
		if (choice % 16 == 0 && at > 600) {
			size_t length = 20 + (choice >> 8) % 200, back = 300 + (choice >> 16) % 300;
			for (size_t i = 0; i < length && at < size; i++, at++) data[at] = data[at - back];
		} else if (choice % 16 == 1) {
			data[at++] = (uint8_t)(choice >> 8);
		} else {
			for (const char *c = words[(choice >> 8) % 9]; *c && at < size; c++) data[at++] = (uint8_t)*c;
		}
	}
}
