/* A digest of what the compiler's library computes of many operands, the same natively and in a sandbox. */
#include <stdint.h>
#include <string.h>

typedef unsigned __int128 u128;
typedef __float128 quad;

static uint64_t digest;

static void mix(const void *bytes, int count)
{
	for (const unsigned char *at = bytes; count--; at++) digest = (digest ^ *at) * 1099511628211u;
}

#define MIX(x, size)                                     \
	do {                                             \
		__typeof__(x) value = (x);               \
		if (value == value) mix(&value, size);   \
		else mix("nan", 3);                      \
	} while (0)

/* words: pairs of numbers, each the two halves of a __float128, the upper one first. */
uint64_t sums(const uint64_t *words, int count)
{
	digest = 14695981039346656037u;
	for (int i = 0; i + 4 <= count; i += 4) {
		u128 bits[2] = { (u128)words[i] << 64 | words[i + 1], (u128)words[i + 2] << 64 | words[i + 3] };
		quad x, y;
		double d;
		_Float16 h;
		memcpy(&x, &bits[0], 16);
		memcpy(&y, &bits[1], 16);
		memcpy(&d, &words[i], 8);
		memcpy(&h, &words[i], 2);
		long double l = (long double)d;
		MIX(x + y, 16);
		MIX(x - y, 16);
		MIX(x * y, 16);
		MIX(x / y, 16);
		MIX((x < y) + 2 * (x == y) + 4 * (x >= y) + 8 * __builtin_isunordered(x, y), 4);
		MIX((float)x, 4);
		MIX((double)x, 8);
		MIX((long double)x, 10);
		MIX((_Float16)x, 2);
		MIX((quad)d, 16);
		MIX((quad)l * l, 16);
		MIX((quad)h, 16);
		MIX((_Float16)l, 2);
		MIX((_Float16)d, 2);
		MIX((quad)bits[0], 16);
		MIX((quad)(__int128)bits[1], 16);
		MIX((quad)(int)words[i], 16);
		MIX((_Float16)(__int128)(bits[0] >> (words[i + 3] & 127)), 2);
		if (x > 0 && x < 1e38) MIX((u128)x, 16);
		if (x > -1e18 && x < 1e18) MIX((int64_t)x, 8);
	}
	return digest;
}

#ifdef NATIVE
#include <stdio.h>

int main(void)
{
	static uint64_t words[1 << 16];
	int count = (int)fread(words, 8, 1 << 16, stdin);
	printf("%llu\n", (unsigned long long)sums(words, count));
	return 0;
}
#endif
