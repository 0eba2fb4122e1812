/* Byte flags again: a sieve by segments, where nearly all is stores of bytes with a stride. */
#include "../bench.h"

enum { SEGMENT = 1 << 15, LIMIT = 1 << 22, ROOT = 2048 };

static char composite[SEGMENT], small[ROOT + 1];
static unsigned primes[400], next[400], prime_count;

static unsigned sieve(void)
{
	unsigned found = 0;
	for (unsigned i = 0; i < prime_count; i++) next[i] = primes[i] * primes[i];
	for (unsigned low = 0; low < LIMIT; low += SEGMENT) {
		memset(composite, 0, sizeof composite);
		for (unsigned i = 0; i < prime_count; i++) {
			unsigned at = next[i] - low;
			for (; at < SEGMENT; at += primes[i]) composite[at] = 1;
			next[i] = at + low;
		}
		for (unsigned i = 0; i < SEGMENT; i++) found += !composite[i];
	}
	return found - 2;
}

int main(int argc, char **argv)
{
	int rounds = work(argc, argv);
	for (unsigned i = 2; i <= ROOT; i++) {
		if (small[i]) continue;
		primes[prime_count++] = i;
		for (unsigned j = i * i; j <= ROOT; j += i) small[j] = 1;
	}
	uint64_t sum = 0;
	for (int round = 0; round < rounds; round++) {
		unsigned found = sieve();
		expect(found == 295947, "how many primes there are");
		sum = mix(sum, found);
	}
	return finish(sum);
}
