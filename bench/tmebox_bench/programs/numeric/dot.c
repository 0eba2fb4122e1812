/* Vectors of floats and integers: scale and add, dot product, maximum. Every loop can be vectorised. */
#include "../bench.h"

enum { N = 8192 };
static float x[N], y[N];
static int32_t p[N], q[N];

static void scale_and_add(float factor)
{
	for (int i = 0; i < N; i++) y[i] = factor * x[i] + 0.5f * y[i];
}

static int64_t dot(void)
{
	int64_t sum = 0;
	for (int i = 0; i < N; i++) sum += (int64_t)p[i] * q[i];
	return sum;
}

static int32_t largest(int32_t shift)
{
	int32_t best = INT32_MIN;
	for (int i = 0; i < N; i++) {
		int32_t value = (p[i] ^ shift) - q[i];
		best = value > best ? value : best;
	}
	return best;
}

int main(int argc, char **argv)
{
	int rounds = work(argc, argv) * 100;
	uint32_t random = 99;
	for (int i = 0; i < N; i++) {
		x[i] = next_random(&random) % 1000 / 500.0f;
		p[i] = next_random(&random) % 100000;
		q[i] = next_random(&random) % 100000;
	}
	uint64_t sum = 0;
	for (int round = 0; round < rounds; round++) {
		scale_and_add(1.0f / (1 + round % 7));
		p[round % N] ^= round;
		sum = mix(sum, dot());
		sum = mix(sum, largest(round % 64));
	}
	for (int i = 0; i < N; i += 13) sum = mix_double(sum, y[i]);
	return finish(sum);
}
