/* Histograms and a counting permutation: stores whose places come from data. */
#include "../bench.h"

enum { COUNT = 1 << 15, BINS = 1 << 10 };

static uint32_t keys[COUNT], sorted[COUNT], order[COUNT];
static uint32_t bins[4][BINS], start[BINS + 1];

int main(int argc, char **argv)
{
	int rounds = work(argc, argv);
	uint32_t random = 314159265u;
	uint64_t sum = 0;
	for (int i = 0; i < COUNT; i++) keys[i] = next_random(&random);
	for (int round = 0; round < rounds; round++) {
		memset(bins, 0, sizeof bins);
		for (int i = 0; i < COUNT; i += 4) {
			for (int k = 0; k < 4; k++) bins[k][keys[i + k] % BINS]++;
		}
		uint32_t at = 0;
		for (int b = 0; b < BINS; b++) {
			start[b] = at;
			at += bins[0][b] + bins[1][b] + bins[2][b] + bins[3][b];
		}
		expect(at == COUNT, "the sum of all bins");
		for (int i = 0; i < COUNT; i++) {
			uint32_t to = start[keys[i] % BINS]++;
			sorted[to] = keys[i];
			order[to] = (uint32_t)i;
		}
		for (int i = 0; i < COUNT; i++) keys[i] = sorted[i] * 2654435761u + order[i];
		sum = mix(sum, keys[round % COUNT]);
	}
	return finish(sum);
}
