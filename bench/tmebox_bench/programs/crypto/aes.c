/* AES-128 with tables, in counter mode. Checked against the standard's example. */
#include "../bench.h"

static uint8_t sbox[256];
static uint32_t table[4][256];

static uint32_t rotate(uint32_t value, int bits)
{
	return value << bits | value >> (32 - bits);
}

static uint8_t twice(uint8_t value)
{
	return (uint8_t)(value << 1 ^ (value & 0x80 ? 0x1b : 0));
}

/* p runs through the field's elements as powers of 3, q through their inverses. */
static void make_tables(void)
{
	uint8_t p = 1, q = 1;
	do {
		p ^= twice(p);
		q ^= (uint8_t)(q << 1);
		q ^= (uint8_t)(q << 2);
		q ^= (uint8_t)(q << 4);
		if (q & 0x80) q ^= 0x09;
		uint32_t spread = q * 0x101u;
		sbox[p] = (uint8_t)(q ^ spread >> 7 ^ spread >> 6 ^ spread >> 5 ^ spread >> 4 ^ 0x63);
	} while (p != 1);
	sbox[0] = 0x63;
	for (int i = 0; i < 256; i++) {
		uint8_t s = sbox[i], s2 = twice(s);
		table[0][i] = (uint32_t)s2 << 24 | (uint32_t)s << 16 | (uint32_t)s << 8 | (uint8_t)(s2 ^ s);
		for (int k = 1; k < 4; k++) table[k][i] = rotate(table[0][i], 32 - 8 * k);
	}
}

static uint32_t load(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static uint32_t substitute(uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
	return (uint32_t)sbox[a >> 24] << 24 | (uint32_t)sbox[b >> 16 & 255] << 16 | (uint32_t)sbox[c >> 8 & 255] << 8 | sbox[d & 255];
}

static void expand(uint32_t keys[44], const uint8_t key[16])
{
	uint8_t constant = 1;
	for (int i = 0; i < 4; i++) keys[i] = load(key + 4 * i);
	for (int i = 4; i < 44; i++) {
		uint32_t word = keys[i - 1];
		if (i % 4 == 0) {
			word = rotate(word, 8);
			word = substitute(word, word, word, word) ^ (uint32_t)constant << 24;
			constant = twice(constant);
		}
		keys[i] = keys[i - 4] ^ word;
	}
}

static void encrypt(const uint32_t keys[44], const uint8_t in[16], uint8_t out[16])
{
	uint32_t state[4], next[4];
	for (int i = 0; i < 4; i++) state[i] = load(in + 4 * i) ^ keys[i];
	for (int round = 1; round < 10; round++) {
		for (int i = 0; i < 4; i++)
			next[i] = table[0][state[i] >> 24] ^ table[1][state[(i + 1) % 4] >> 16 & 255] ^
				  table[2][state[(i + 2) % 4] >> 8 & 255] ^ table[3][state[(i + 3) % 4] & 255] ^ keys[4 * round + i];
		memcpy(state, next, sizeof state);
	}
	for (int i = 0; i < 4; i++) {
		uint32_t word = substitute(state[i], state[(i + 1) % 4], state[(i + 2) % 4], state[(i + 3) % 4]) ^ keys[40 + i];
		for (int k = 0; k < 4; k++) out[4 * i + k] = (uint8_t)(word >> (24 - 8 * k));
	}
}

int main(int argc, char **argv)
{
	static const uint8_t expected[16] = {
		0x69, 0xc4, 0xe0, 0xd8, 0x6a, 0x7b, 0x04, 0x30, 0xd8, 0xcd, 0xb7, 0x80, 0x70, 0xb4, 0xc5, 0x5a,
	};
	int rounds = work(argc, argv) * 1000;
	uint8_t key[16], block[16], out[16];
	uint32_t keys[44];
	make_tables();
	for (int i = 0; i < 16; i++) {
		key[i] = (uint8_t)i;
		block[i] = (uint8_t)(i * 0x11);
	}
	expand(keys, key);
	encrypt(keys, block, out);
	expect(!memcmp(out, expected, 16), "the example of FIPS 197");
	uint64_t sum = 0;
	for (int i = 0; i < rounds; i++) {
		memcpy(block, &i, sizeof i);
		encrypt(keys, block, out);
		uint64_t half;
		memcpy(&half, out, sizeof half);
		sum = mix(sum, half);
	}
	return finish(sum);
}
