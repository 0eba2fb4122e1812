/* Takeuchi's and Ackermann's functions: deep recursion with several arguments. */
#include "../bench.h"

static __attribute__((noinline)) int tak(int x, int y, int z)
{
	return y < x ? tak(tak(x - 1, y, z), tak(y - 1, z, x), tak(z - 1, x, y)) : z;
}

static __attribute__((noinline)) int ackermann(int m, int n)
{
	if (m == 0) return n + 1;
	return ackermann(m - 1, n == 0 ? 1 : ackermann(m, n - 1));
}

int main(int argc, char **argv)
{
	int rounds = work(argc, argv);
	uint64_t sum = 0;
	for (int round = 0; round < rounds; round++) {
		sum = mix(sum, (uint64_t)tak(18 + round % 2, 12, 6));
		sum = mix(sum, (uint64_t)ackermann(2, 300 + round));
		sum = mix(sum, (uint64_t)ackermann(3, 6));
	}
	return finish(sum);
}
