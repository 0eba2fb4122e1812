/* ChaCha20 over a buffer. Checked against RFC 8439's example block. */
#include "../bench.h"

enum { SIZE = 1 << 16 };

#define QUARTER(a, b, c, d) \
	(a += b, d = rotate(d ^ a, 16), c += d, b = rotate(b ^ c, 12), a += b, d = rotate(d ^ a, 8), c += d, b = rotate(b ^ c, 7))

static uint32_t rotate(uint32_t value, int bits)
{
	return value << bits | value >> (32 - bits);
}

static void make_block(uint32_t out[16], const uint32_t in[16])
{
	uint32_t x[16];
	memcpy(x, in, sizeof x);
	for (int i = 0; i < 10; i++) {
		QUARTER(x[0], x[4], x[8], x[12]);
		QUARTER(x[1], x[5], x[9], x[13]);
		QUARTER(x[2], x[6], x[10], x[14]);
		QUARTER(x[3], x[7], x[11], x[15]);
		QUARTER(x[0], x[5], x[10], x[15]);
		QUARTER(x[1], x[6], x[11], x[12]);
		QUARTER(x[2], x[7], x[8], x[13]);
		QUARTER(x[3], x[4], x[9], x[14]);
	}
	for (int i = 0; i < 16; i++) out[i] = x[i] + in[i];
}

static void apply(uint32_t state[16], uint8_t *data, size_t size)
{
	uint32_t block[16];
	for (size_t done = 0; done < size; done += sizeof block) {
		make_block(block, state);
		state[12]++;
		const uint8_t *stream = (const uint8_t *)block;
		for (size_t i = 0; i < sizeof block; i++) data[done + i] ^= stream[i];
	}
}

int main(int argc, char **argv)
{
	int rounds = work(argc, argv);
	uint32_t state[16] = { 0x61707865, 0x3320646e, 0x79622d32, 0x6b206574 }, block[16];
	for (uint32_t i = 0; i < 8; i++) state[4 + i] = 0x03020100 + i * 0x04040404;
	state[12] = 1;
	state[13] = 0x09000000;
	state[14] = 0x4a000000;
	make_block(block, state);
	expect(block[0] == 0xe4e7f110 && block[15] == 0x4e3c50a2, "the example of RFC 8439");
	uint8_t *data = need(calloc(SIZE, 1));
	for (int round = 0; round < rounds; round++) apply(state, data, SIZE);
	uint64_t sum = mix_bytes(0, data, SIZE);
	free(data);
	return finish(sum);
}
