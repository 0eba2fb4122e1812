/* Queens that do not attack each other: backtracking, with arrays and by bits. */
#include "../bench.h"

enum { MAX = 16 };
static int size, row_of[MAX];

static int is_safe(int column, int row)
{
	for (int before = 0; before < column; before++) {
		int apart = row_of[before] - row;
		if (apart == 0 || apart == column - before || apart == before - column) return 0;
	}
	return 1;
}

static int place(int column)
{
	if (column == size) return 1;
	int solutions = 0;
	for (int row = 0; row < size; row++)
		if (is_safe(column, row)) {
			row_of[column] = row;
			solutions += place(column + 1);
		}
	return solutions;
}

static int place_bits(unsigned all, unsigned rows, unsigned up, unsigned down)
{
	if (rows == all) return 1;
	int solutions = 0;
	for (unsigned open = all & ~(rows | up | down); open; open &= open - 1) {
		unsigned bit = open & -open;
		solutions += place_bits(all, rows | bit, (up | bit) << 1, (down | bit) >> 1);
	}
	return solutions;
}

int main(int argc, char **argv)
{
	int largest = work(argc, argv);
	expect(largest < MAX, "the board's size");
	uint64_t sum = 0;
	for (size = 4; size <= largest; size++) {
		int solutions = place(0);
		expect(solutions == place_bits((1u << size) - 1, 0, 0, 0), "both ways of counting");
		sum = mix(sum, (uint64_t)solutions);
	}
	return finish(sum);
}
