/* Numbers to sort, and the check that they are. */
#pragma once

#include "../bench.h"

enum { COUNT = 50000 };
static uint32_t numbers[COUNT], spare[COUNT];

static void sort(void);

static int drive(int argc, char **argv)
{
	int rounds = work(argc, argv);
	uint32_t random = 1;
	uint64_t sum = 0;
	for (int round = 0; round < rounds; round++) {
		uint32_t before = 0, after = 0;
		for (int i = 0; i < COUNT; i++) before += numbers[i] = next_random(&random) >> round % 20;
		spare[0] = 0;
		sort();
		for (int i = 0; i < COUNT; i++) {
			after += numbers[i];
			expect(i == 0 || numbers[i - 1] <= numbers[i], "order");
		}
		expect(before == after, "nothing is lost");
		for (int i = 0; i < COUNT; i += 997) sum = mix(sum, numbers[i]);
	}
	return finish(sum);
}

int main(int argc, char **argv)
{
	return drive(argc, argv);
}
