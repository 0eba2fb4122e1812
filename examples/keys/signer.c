/* Holds a private key and signs with it: SipHash-2-4, 64 bits. Nothing here ever hands out the key. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static uint64_t key[2];

void set_key(const uint8_t bytes[16])
{
	memcpy(key, bytes, sizeof key);
}

static uint64_t rotate(uint64_t value, int count)
{
	return value << count | value >> (64 - count);
}

static void mix(uint64_t v[4])
{
	v[0] += v[1], v[1] = rotate(v[1], 13) ^ v[0], v[0] = rotate(v[0], 32);
	v[2] += v[3], v[3] = rotate(v[3], 16) ^ v[2];
	v[0] += v[3], v[3] = rotate(v[3], 21) ^ v[0];
	v[2] += v[1], v[1] = rotate(v[1], 17) ^ v[2], v[2] = rotate(v[2], 32);
}

uint64_t sign(const uint8_t *message, size_t size)
{
	uint64_t v[4] = { key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d, key[0] ^ 0x6c7967656e657261,
		          key[1] ^ 0x7465646279746573 };
	for (size_t at = 0; at <= size; at += 8) {
		uint64_t word = at + 8 > size ? (uint64_t)size << 56 : 0;
		for (size_t i = 0; i < 8 && at + i < size; i++) word |= (uint64_t)message[at + i] << 8 * i;
		v[3] ^= word;
		mix(v), mix(v);
		v[0] ^= word;
	}
	v[2] ^= 0xff;
	for (int i = 0; i < 4; i++) mix(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
