/* zlib: compress at several levels, and restore. */
#include <zlib.h>

#include "../compression/sample.h"

int main(int argc, char **argv)
{
	enum { SIZE = 200000 };
	static const int levels[] = { 1, 6, 9 };
	static uint8_t data[SIZE], packed[SIZE * 2], unpacked[SIZE];
	int rounds = work(argc, argv);
	uint64_t sum = 0;
	for (int round = 0; round < rounds; round++) {
		uLongf size = sizeof packed, restored = sizeof unpacked;
		make_sample(data, SIZE, (uint32_t)round + 1);
		expect(compress2(packed, &size, data, SIZE, levels[round % 3]) == Z_OK, "compress");
		for (int again = 0; again < 4; again++) expect(uncompress(unpacked, &restored, packed, size) == Z_OK, "uncompress");
		expect(restored == SIZE && !memcmp(data, unpacked, SIZE), "the round trip");
		sum = mix(mix_bytes(sum, packed, size), crc32(0, data, SIZE));
	}
	return finish(sum);
}
