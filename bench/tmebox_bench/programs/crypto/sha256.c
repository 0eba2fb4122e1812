/* SHA-256 over a long message. The constants are computed: fractions of roots of the first primes. */
#include <math.h>

#include "../bench.h"

static uint32_t constants[64], initial[8];

static void make_constants(void)
{
	for (int candidate = 2, found = 0; found < 64; candidate++) {
		int divisor = 2;
		while (divisor * divisor <= candidate && candidate % divisor) divisor++;
		if (divisor * divisor <= candidate) continue;
		double square = sqrt(candidate), cube = cbrt(candidate);
		if (found < 8) initial[found] = (uint32_t)((square - floor(square)) * 4294967296.0);
		constants[found++] = (uint32_t)((cube - floor(cube)) * 4294967296.0);
	}
}

static uint32_t rotate(uint32_t value, int bits)
{
	return value >> bits | value << (32 - bits);
}

static void compress(uint32_t state[8], const uint8_t *block)
{
	uint32_t w[64], s[8];
	for (int i = 0; i < 16; i++)
		w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 | (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
	for (int i = 16; i < 64; i++) {
		uint32_t a = w[i - 15], b = w[i - 2];
		w[i] = w[i - 16] + (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) + w[i - 7] + (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10);
	}
	memcpy(s, state, sizeof s);
	for (int i = 0; i < 64; i++) {
		uint32_t choice = (s[4] & s[5]) ^ (~s[4] & s[6]), majority = (s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]);
		uint32_t one = s[7] + (rotate(s[4], 6) ^ rotate(s[4], 11) ^ rotate(s[4], 25)) + choice + constants[i] + w[i];
		uint32_t two = (rotate(s[0], 2) ^ rotate(s[0], 13) ^ rotate(s[0], 22)) + majority;
		memmove(s + 1, s, 7 * sizeof *s);
		s[4] += one;
		s[0] = one + two;
	}
	for (int i = 0; i < 8; i++) state[i] += s[i];
}

static void hash(uint32_t state[8], const uint8_t *message, size_t size)
{
	uint8_t block[64];
	size_t done = 0;
	memcpy(state, initial, sizeof initial);
	for (; size - done >= 64; done += 64) compress(state, message + done);
	memset(block, 0, sizeof block);
	memcpy(block, message + done, size - done);
	block[size - done] = 0x80;
	if (size - done >= 56) {
		compress(state, block);
		memset(block, 0, sizeof block);
	}
	for (int i = 0; i < 8; i++) block[56 + i] = (uint8_t)((uint64_t)size * 8 >> (56 - 8 * i));
	compress(state, block);
}

int main(int argc, char **argv)
{
	enum { SIZE = 100000 };
	int rounds = work(argc, argv);
	uint32_t state[8];
	uint8_t *message = need(malloc(SIZE));
	make_constants();
	hash(state, (const uint8_t *)"abc", 3);
	expect(state[0] == 0xba7816bf && state[7] == 0xf20015ad, "the example of FIPS 180");
	for (int i = 0; i < SIZE; i++) message[i] = (uint8_t)(i * 7 + i / 256);
	uint64_t sum = 0;
	for (int round = 0; round < rounds; round++) {
		message[round % SIZE]++;
		hash(state, message, SIZE);
		sum = mix(sum, state[round % 8]);
	}
	free(message);
	return finish(sum);
}
