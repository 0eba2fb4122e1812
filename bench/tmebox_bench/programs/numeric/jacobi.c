/* Jacobi's relaxation on a square grid. */
#include "../bench.h"

enum { N = 256 };
static double grid[2][N][N];

static void step(double (*restrict to)[N], double (*restrict from)[N])
{
	for (int i = 1; i < N - 1; i++)
		for (int j = 1; j < N - 1; j++)
			to[i][j] = 0.2 * (from[i][j] + from[i][j - 1] + from[i][j + 1] + from[i - 1][j] + from[i + 1][j]);
}

int main(int argc, char **argv)
{
	int steps = work(argc, argv);
	for (int i = 0; i < N; i++)
		for (int j = 0; j < N; j++) grid[0][i][j] = grid[1][i][j] = (i * (j + 2.0) + 10) / N;
	for (int i = 0; i < steps; i++) step(grid[(i + 1) % 2], grid[i % 2]);
	uint64_t sum = 0;
	for (int i = 0; i < N; i++) sum = mix_double(sum, grid[steps % 2][i][(5 * i) % N]);
	return finish(sum);
}
