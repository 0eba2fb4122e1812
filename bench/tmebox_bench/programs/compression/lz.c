/* LZ77: matches found through a hash of three bytes and chains; written as byte codes, and read back. */
#include "sample.h"

enum { SIZE = 1 << 18, WINDOW = 1 << 15, HASH = 1 << 13, TRIES = 16, SHORTEST = 4, LONGEST = 255 };
static uint8_t data[SIZE], packed[2 * SIZE], unpacked[SIZE];
static int32_t heads[HASH], chain[WINDOW];

static unsigned hash(const uint8_t *at)
{
	return (at[0] * 2654435761u ^ at[1] * 40503u ^ at[2] * 2246822519u) >> 16 & (HASH - 1);
}

static int longest_match(int at, int *from)
{
	int best = 0, tries = TRIES, limit = SIZE - at < LONGEST ? SIZE - at : LONGEST;
	for (int place = heads[hash(data + at)]; place >= 0 && at - place < WINDOW && tries--; place = chain[place % WINDOW]) {
		int length = 0;
		while (length < limit && data[place + length] == data[at + length]) length++;
		if (length > best) {
			best = length;
			*from = place;
		}
	}
	return best;
}

static void enter(int at)
{
	unsigned slot = hash(data + at);
	chain[at % WINDOW] = heads[slot];
	heads[slot] = at;
}

/* A literal is 0, byte; a match is its length, and the distance in two bytes. */
static int pack(void)
{
	int to = 0;
	memset(heads, -1, sizeof heads);
	for (int at = 0; at < SIZE;) {
		int from = 0, length = at + 3 < SIZE ? longest_match(at, &from) : 0;
		if (length < SHORTEST) {
			packed[to++] = 0;
			packed[to++] = data[at];
			length = 1;
		} else {
			packed[to++] = (uint8_t)length;
			packed[to++] = (uint8_t)(at - from);
			packed[to++] = (uint8_t)((at - from) >> 8);
		}
		for (; length; length--, at++)
			if (at + 3 < SIZE) enter(at);
	}
	return to;
}

static int unpack(int size)
{
	int to = 0;
	for (int at = 0; at < size;) {
		int length = packed[at];
		if (length == 0) {
			unpacked[to++] = packed[at + 1];
			at += 2;
			continue;
		}
		int from = to - (packed[at + 1] | packed[at + 2] << 8);
		for (; length; length--) unpacked[to++] = unpacked[from++];
		at += 3;
	}
	return to;
}

int main(int argc, char **argv)
{
	int rounds = work(argc, argv);
	uint64_t sum = 0;
	for (int round = 0; round < rounds; round++) {
		make_sample(data, SIZE, (uint32_t)round + 1);
		int size = pack();
		expect(unpack(size) == SIZE && !memcmp(data, unpacked, SIZE), "the round trip");
		sum = mix(sum, (uint64_t)size);
	}
	return finish(sum);
}
