/* Solving linear equations: elimination with row exchanges through pointers to rows. */
#include <math.h>

#include "../bench.h"

enum { N = 160 };
static double storage[N][N + 1];
static double *rows[N];

static void fill(uint32_t seed)
{
	for (int i = 0; i < N; i++) {
		rows[i] = storage[i];
		for (int j = 0; j <= N; j++) rows[i][j] = next_random(&seed) % 2000 / 1000.0 - 1;
		rows[i][i] += 3;
	}
}

static void eliminate(void)
{
	for (int k = 0; k < N; k++) {
		int best = k;
		for (int i = k + 1; i < N; i++)
			if (fabs(rows[i][k]) > fabs(rows[best][k])) best = i;
		double *kept = rows[k];
		rows[k] = rows[best];
		rows[best] = kept;
		for (int i = k + 1; i < N; i++) {
			double factor = rows[i][k] / rows[k][k];
			for (int j = k; j <= N; j++) rows[i][j] -= factor * rows[k][j];
		}
	}
}

static void substitute(double *solution)
{
	for (int i = N - 1; i >= 0; i--) {
		double value = rows[i][N];
		for (int j = i + 1; j < N; j++) value -= rows[i][j] * solution[j];
		solution[i] = value / rows[i][i];
	}
}

int main(int argc, char **argv)
{
	int rounds = work(argc, argv);
	uint64_t sum = 0;
	double solution[N];
	for (int round = 0; round < rounds; round++) {
		fill(round + 1);
		eliminate();
		substitute(solution);
		for (int i = 0; i < N; i += 11) sum = mix_double(sum, solution[i]);
	}
	return finish(sum);
}
