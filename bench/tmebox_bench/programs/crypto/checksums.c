/* MD5 and CRC-32 of a buffer, with the constants computed. */
#include <math.h>

#include "../bench.h"

enum { SIZE = 1 << 16 };
static uint32_t sines[64], crc_table[256];

static void make_tables(void)
{
	for (int i = 0; i < 64; i++) sines[i] = (uint32_t)(fabs(sin(i + 1)) * 4294967296.0);
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t value = i;
		for (int bit = 0; bit < 8; bit++) value = value & 1 ? value >> 1 ^ 0xedb88320 : value >> 1;
		crc_table[i] = value;
	}
}

static uint32_t crc(const uint8_t *data, size_t size)
{
	uint32_t value = ~0u;
	for (size_t i = 0; i < size; i++) value = crc_table[(value ^ data[i]) & 255] ^ value >> 8;
	return ~value;
}

static void md5_block(uint32_t state[4], const uint8_t *block)
{
	static const uint8_t shifts[4][4] = { { 7, 12, 17, 22 }, { 5, 9, 14, 20 }, { 4, 11, 16, 23 }, { 6, 10, 15, 21 } };
	uint32_t a = state[0], b = state[1], c = state[2], d = state[3], words[16];
	memcpy(words, block, sizeof words);
	for (unsigned i = 0; i < 64; i++) {
		uint32_t f;
		unsigned word;
		switch (i / 16) {
		case 0: f = (b & c) | (~b & d); word = i; break;
		case 1: f = (d & b) | (~d & c); word = (5 * i + 1) % 16; break;
		case 2: f = b ^ c ^ d; word = (3 * i + 5) % 16; break;
		default: f = c ^ (b | ~d); word = 7 * i % 16;
		}
		f += a + sines[i] + words[word];
		unsigned shift = shifts[i / 16][i % 4];
		a = d;
		d = c;
		c = b;
		b += f << shift | f >> (32 - shift);
	}
	state[0] += a;
	state[1] += b;
	state[2] += c;
	state[3] += d;
}

/* Of at most SIZE - 9 bytes, with room behind them for the padding. */
static uint32_t md5(uint8_t *data, size_t size)
{
	uint32_t state[4] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476 };
	size_t padded = (size + 9 + 63) / 64 * 64;
	uint64_t bits = (uint64_t)size * 8;
	memset(data + size, 0, padded - size);
	data[size] = 0x80;
	memcpy(data + padded - 8, &bits, sizeof bits);
	for (size_t done = 0; done < padded; done += 64) md5_block(state, data + done);
	return state[0];
}

int main(int argc, char **argv)
{
	int rounds = work(argc, argv);
	uint8_t *data = need(calloc(SIZE + 64, 1));
	make_tables();
	memcpy(data, "123456789", 9);
	expect(crc(data, 9) == 0xcbf43926, "the usual check value of CRC-32");
	expect(md5(data, 0) == 0xd98c1dd4, "MD5 of nothing");
	for (int i = 0; i < SIZE; i++) data[i] = (uint8_t)(i * i >> 3);
	uint64_t sum = 0;
	for (int round = 0; round < rounds; round++) {
		data[round % 1000]++;
		sum = mix(mix(sum, crc(data, SIZE - 64)), md5(data, SIZE - 64));
	}
	free(data);
	return finish(sum);
}
