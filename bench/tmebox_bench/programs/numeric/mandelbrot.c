/* How fast each point of the complex plane escapes: arithmetic in registers only. */
#include "../bench.h"

enum { SIDE = 160, LIMIT = 256 };

static int escape(double x, double y)
{
	double re = 0, im = 0;
	int steps = 0;
	for (; steps < LIMIT; steps++) {
		double re2 = re * re, im2 = im * im;
		if (re2 + im2 > 4) break;
		im = 2 * re * im + y;
		re = re2 - im2 + x;
	}
	return steps;
}

int main(int argc, char **argv)
{
	int rounds = work(argc, argv);
	uint64_t sum = 0;
	for (int round = 0; round < rounds; round++)
		for (int row = 0; row < SIDE; row++)
			for (int column = 0; column < SIDE; column++)
				sum = mix(sum, escape(column * 3.0 / SIDE - 2.1 + round * 1e-4, row * 2.4 / SIDE - 1.2));
	return finish(sum);
}
