/* Burrows–Wheeler transform by doubling ranks, move to front, and both undone. */
#include "sample.h"

enum { SIZE = 1 << 14 };
static uint8_t data[SIZE], last[SIZE], coded[SIZE], back[SIZE];
static int order[SIZE], ranks[SIZE], fresh[SIZE], counts[SIZE > 256 ? SIZE + 1 : 257], sorted[SIZE];

/* Stable counting sort of the rotations in `sorted` by rank, to `order`. */
static void sort_by_rank(int classes)
{
	memset(counts, 0, ((size_t)classes + 1) * sizeof *counts);
	for (int i = 0; i < SIZE; i++) counts[ranks[i] + 1]++;
	for (int i = 0; i < classes; i++) counts[i + 1] += counts[i];
	for (int i = 0; i < SIZE; i++) order[counts[ranks[sorted[i]]]++] = sorted[i];
}

static int transform(void)
{
	int classes = 256;
	for (int i = 0; i < SIZE; i++) {
		ranks[i] = data[i];
		sorted[i] = i;
	}
	sort_by_rank(classes);
	for (int step = 0;; step = step ? 2 * step : 1) {
		if (step) {
			for (int i = 0; i < SIZE; i++) sorted[i] = (order[i] - step + SIZE) % SIZE;
			sort_by_rank(classes);
		}
		classes = 1;
		fresh[order[0]] = 0;
		for (int i = 1; i < SIZE; i++) {
			int a = order[i], b = order[i - 1];
			if (ranks[a] != ranks[b] || ranks[(a + step) % SIZE] != ranks[(b + step) % SIZE]) classes++;
			fresh[a] = classes - 1;
		}
		memcpy(ranks, fresh, sizeof ranks);
		if (classes == SIZE || step >= SIZE) break;
	}
	int start = 0;
	for (int i = 0; i < SIZE; i++) {
		last[i] = data[(order[i] + SIZE - 1) % SIZE];
		if (order[i] == 0) start = i;
	}
	return start;
}

static void move_to_front(uint8_t *to, const uint8_t *from, int decode)
{
	uint8_t recent[256];
	for (int i = 0; i < 256; i++) recent[i] = (uint8_t)i;
	for (int i = 0; i < SIZE; i++) {
		int place = 0;
		if (decode) place = from[i];
		else
			while (recent[place] != from[i]) place++;
		uint8_t byte = recent[place];
		memmove(recent + 1, recent, (size_t)place);
		recent[0] = byte;
		to[i] = decode ? byte : (uint8_t)place;
	}
}

static void restore(int start)
{
	int sums[257] = { 0 };
	for (int i = 0; i < SIZE; i++) sums[last[i] + 1]++;
	for (int i = 0; i < 256; i++) sums[i + 1] += sums[i];
	for (int i = 0; i < SIZE; i++) sorted[sums[last[i]]++] = i;
	for (int i = 0, at = sorted[start]; i < SIZE; i++, at = sorted[at]) back[i] = last[at];
}

int main(int argc, char **argv)
{
	int rounds = work(argc, argv);
	uint64_t sum = 0;
	for (int round = 0; round < rounds; round++) {
		make_sample(data, SIZE, (uint32_t)round + 1);
		int start = transform();
		move_to_front(coded, last, 0);
		sum = mix_bytes(mix(sum, (uint64_t)start), coded, SIZE);
		memset(last, 0, SIZE);
		move_to_front(last, coded, 1);
		restore(start);
		expect(!memcmp(data, back, SIZE), "the round trip");
	}
	return finish(sum);
}
