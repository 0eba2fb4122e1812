/* Edit distance between strings, by rows of a table. */
#include "../bench.h"

enum { LENGTH = 400 };

static unsigned distance(const char *one, const char *other)
{
	static unsigned row[LENGTH + 1];
	unsigned length = (unsigned)strlen(other);
	for (unsigned j = 0; j <= length; j++) row[j] = j;
	for (unsigned i = 0; one[i]; i++) {
		unsigned diagonal = row[0];
		row[0] = i + 1;
		for (unsigned j = 0; j < length; j++) {
			unsigned best = diagonal + (one[i] != other[j]);
			diagonal = row[j + 1];
			if (row[j] + 1 < best) best = row[j] + 1;
			if (diagonal + 1 < best) best = diagonal + 1;
			row[j + 1] = best;
		}
	}
	return row[length];
}

int main(int argc, char **argv)
{
	int rounds = work(argc, argv);
	char one[LENGTH + 1], other[LENGTH + 1];
	uint32_t random = 21;
	uint64_t sum = 0;
	for (int round = 0; round < rounds; round++) {
		unsigned length = LENGTH - next_random(&random) % 50;
		for (unsigned i = 0; i < length; i++) {
			one[i] = (char)('a' + next_random(&random) % 6);
			other[i] = next_random(&random) % 3 ? one[i] : (char)('a' + next_random(&random) % 6);
		}
		one[length] = other[length] = 0;
		unsigned there = distance(one, other);
		expect(round % 64 || there == distance(other, one), "symmetry");
		sum = mix(sum, there);
	}
	return finish(sum);
}
