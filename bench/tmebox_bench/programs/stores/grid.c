/* Shortest ways through a grid, kept in several arrays that each step writes. */
#include "../bench.h"

enum { SIZE = 128, CELLS = SIZE * SIZE };

static uint8_t cost[CELLS], state[CELLS];
static uint16_t from[CELLS];
static uint32_t distance[CELLS], queue[16][CELLS];
static uint32_t lengths[16];

static void put(uint32_t cell, uint32_t total, uint16_t origin)
{
	if (state[cell] == 2 || (state[cell] == 1 && distance[cell] <= total)) return;
	state[cell] = 1;
	distance[cell] = total;
	from[cell] = origin;
	uint32_t bucket = total & 15;
	if (lengths[bucket] < CELLS) queue[bucket][lengths[bucket]++] = cell;
}

static uint32_t search(uint32_t begin)
{
	uint32_t reached = 0;
	memset(state, 0, sizeof state);
	memset(lengths, 0, sizeof lengths);
	put(begin, 0, (uint16_t)begin);
	for (uint32_t total = 0, empty = 0; empty < 16; total++) {
		uint32_t bucket = total & 15;
		empty = lengths[bucket] ? 0 : empty + 1;
		while (lengths[bucket]) {
			uint32_t cell = queue[bucket][--lengths[bucket]];
			if (state[cell] == 2 || distance[cell] != total) continue;
			state[cell] = 2;
			reached++;
			uint32_t x = cell % SIZE, y = cell / SIZE;
			if (x > 0) put(cell - 1, total + cost[cell - 1], (uint16_t)cell);
			if (x < SIZE - 1) put(cell + 1, total + cost[cell + 1], (uint16_t)cell);
			if (y > 0) put(cell - SIZE, total + cost[cell - SIZE], (uint16_t)cell);
			if (y < SIZE - 1) put(cell + SIZE, total + cost[cell + SIZE], (uint16_t)cell);
		}
	}
	return reached;
}

int main(int argc, char **argv)
{
	int rounds = work(argc, argv);
	uint32_t random = 271828182u;
	uint64_t sum = 0;
	for (int i = 0; i < CELLS; i++) cost[i] = (uint8_t)(1 + next_random(&random) % 14);
	for (int round = 0; round < rounds; round++) {
		uint32_t begin = next_random(&random) % CELLS;
		expect(search(begin) == CELLS, "how many cells are reached");
		sum = mix(sum, distance[(begin + CELLS / 2) % CELLS] ^ from[(begin + 77) % CELLS]);
		cost[begin] = (uint8_t)(1 + sum % 14);
	}
	return finish(sum);
}
