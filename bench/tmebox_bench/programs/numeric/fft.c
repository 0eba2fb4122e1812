/* Fast Fourier transform, radix 2, in place, forwards and back. */
#include <math.h>

#include "../bench.h"

enum { BITS = 14, N = 1 << BITS };

struct complex {
	double re, im;
};

static struct complex data[N], roots[N / 2];

static void reverse(void)
{
	for (unsigned i = 0, j = 0; i < N; i++) {
		if (i < j) {
			struct complex kept = data[i];
			data[i] = data[j];
			data[j] = kept;
		}
		unsigned bit = N >> 1;
		for (; bit && j & bit; bit >>= 1) j ^= bit;
		j |= bit;
	}
}

static void transform(double direction)
{
	reverse();
	for (int half = 1; half < N; half *= 2)
		for (int start = 0; start < N; start += 2 * half)
			for (int k = 0; k < half; k++) {
				struct complex root = roots[k * (N / 2 / half)];
				root.im *= direction;
				struct complex *low = &data[start + k], *high = low + half;
				double re = high->re * root.re - high->im * root.im;
				double im = high->re * root.im + high->im * root.re;
				*high = (struct complex){ low->re - re, low->im - im };
				*low = (struct complex){ low->re + re, low->im + im };
			}
}

int main(int argc, char **argv)
{
	int rounds = work(argc, argv);
	for (int i = 0; i < N / 2; i++) {
		double angle = 2 * 3.14159265358979323846 * i / N;
		roots[i] = (struct complex){ cos(angle), sin(angle) };
	}
	for (int i = 0; i < N; i++) data[i] = (struct complex){ (i * 37) % 1001 / 1000.0, 0 };
	for (int round = 0; round < rounds; round++) {
		transform(1);
		transform(-1);
		for (int i = 0; i < N; i++) data[i] = (struct complex){ data[i].re / N, data[i].im / N };
	}
	uint64_t sum = 0;
	for (int i = 0; i < N; i++) {
		expect(fabs(data[i].re - (i * 37) % 1001 / 1000.0) < 1e-6, "the transform's inverse");
		sum = mix_double(sum, data[i].re);
	}
	return finish(sum);
}
