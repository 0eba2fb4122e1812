/* Matrix product, C += A·B, rows in the inner loop. */
#include "../bench.h"

enum { N = 192 };
static double a[N][N], b[N][N], c[N][N];

static void multiply(void)
{
	for (int i = 0; i < N; i++)
		for (int k = 0; k < N; k++) {
			double factor = a[i][k];
			for (int j = 0; j < N; j++) c[i][j] += factor * b[k][j];
		}
}

int main(int argc, char **argv)
{
	int rounds = work(argc, argv);
	for (int i = 0; i < N; i++)
		for (int j = 0; j < N; j++) {
			a[i][j] = (i * j + 1) % N;
			b[i][j] = (i + 3 * j) % 17;
		}
	for (int round = 0; round < rounds; round++) multiply();
	uint64_t sum = 0;
	for (int i = 0; i < N; i++) sum = mix_double(sum, c[i][(7 * i) % N]);
	return finish(sum);
}
