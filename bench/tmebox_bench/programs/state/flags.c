/* Byte flags: a cache of sectors with valid, dirty, locked and wanted as a byte each, and loops over them. */
#include "../bench.h"

enum { SECTORS = 512 };

static unsigned char valid[SECTORS], dirty[SECTORS], locked[SECTORS], wanted[SECTORS], age[SECTORS];
static unsigned char writing, full, changed, urgent;
static unsigned hits, misses, written, evicted;

static void touch(unsigned sector, int store)
{
	if (valid[sector]) {
		hits++;
		age[sector] = 0;
	} else {
		misses++;
		wanted[sector] = 1;
		changed = 1;
	}
	if (store && !locked[sector]) dirty[sector] = 1, urgent |= age[sector] > 200;
}

static void load_wanted(void)
{
	for (unsigned i = 0; i < SECTORS; i++) {
		if (!wanted[i]) continue;
		wanted[i] = 0;
		valid[i] = 1;
		age[i] = 0;
	}
	changed = 0;
}

static void grow_old(void)
{
	full = 1;
	for (unsigned i = 0; i < SECTORS; i++) {
		if (!valid[i]) {
			full = 0;
		} else if (++age[i] == 255) {
			if (dirty[i] && !locked[i]) {
				dirty[i] = 0;
				writing = 1;
				written++;
			} else if (!locked[i]) {
				valid[i] = 0;
				evicted++;
			}
			age[i] = 128;
		}
	}
}

int main(int argc, char **argv)
{
	int rounds = work(argc, argv);
	uint32_t random = 88172645u;
	uint64_t sum = 0;
	for (int round = 0; round < rounds; round++) {
		for (int i = 0; i < 100; i++) {
			for (int j = 0; j < 24; j++) {
				uint32_t value = next_random(&random);
				touch((value >> 3) % (SECTORS - (value & 255)), value & 1);
				if (value >> 27 == 3) locked[value % SECTORS] ^= 1;
			}
			if (changed) load_wanted();
			grow_old();
			if (writing && urgent) writing = urgent = 0;
		}
		sum = mix(sum, hits ^ (uint64_t)misses << 20 ^ (uint64_t)written << 40);
		sum = mix(sum, evicted * 4 + full * 2u + writing);
	}
	return finish(mix_bytes(mix_bytes(sum, valid, sizeof valid), age, sizeof age));
}
