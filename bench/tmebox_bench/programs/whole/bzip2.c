/* bzip2's library: compress and restore. */
#include <bzlib.h>

#include "../compression/sample.h"

void bz_internal_error(int code)
{
	fprintf(stderr, "bzip2: internal error %d\n", code);
	exit(5);
}

int main(int argc, char **argv)
{
	enum { SIZE = 200000 };
	static uint8_t data[SIZE], packed[SIZE * 2], unpacked[SIZE];
	int rounds = work(argc, argv);
	uint64_t sum = 0;
	for (int round = 0; round < rounds; round++) {
		unsigned size = sizeof packed, restored = sizeof unpacked;
		make_sample(data, SIZE, (uint32_t)round + 1);
		expect(BZ2_bzBuffToBuffCompress((char *)packed, &size, (char *)data, SIZE, 9, 0, 0) == BZ_OK, "compress");
		expect(BZ2_bzBuffToBuffDecompress((char *)unpacked, &restored, (char *)packed, size, 0, 0) == BZ_OK, "decompress");
		expect(restored == SIZE && !memcmp(data, unpacked, SIZE), "the round trip");
		sum = mix_bytes(sum, packed, size);
	}
	return finish(sum);
}
