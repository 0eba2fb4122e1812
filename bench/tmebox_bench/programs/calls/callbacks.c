/* Function pointers as arguments: the library's qsort and bsearch, and map, filter and fold over arrays. */
#include "../bench.h"

enum { N = 20000 };

struct record {
	uint32_t key, weight;
};

typedef int compare(const void *one, const void *other);
typedef uint32_t map(uint32_t value);
typedef int predicate(uint32_t value);
typedef uint64_t fold(uint64_t sum, uint32_t value);

static int by_key(const void *one, const void *other)
{
	uint32_t a = ((const struct record *)one)->key, b = ((const struct record *)other)->key;
	return (a > b) - (a < b);
}

static int by_weight(const void *one, const void *other)
{
	uint32_t a = ((const struct record *)one)->weight, b = ((const struct record *)other)->weight;
	return a == b ? by_key(one, other) : (a > b) - (a < b);
}

static uint32_t triple(uint32_t value)
{
	return 3 * value + 1;
}

static uint32_t swap_halves(uint32_t value)
{
	return value << 16 | value >> 16;
}

static int is_odd(uint32_t value)
{
	return value & 1;
}

static int is_large(uint32_t value)
{
	return value > 1u << 30;
}

static uint64_t add(uint64_t sum, uint32_t value)
{
	return sum + value;
}

static __attribute__((noinline)) uint64_t pipeline(const struct record *records, map *change, predicate *keep, fold *fold_one)
{
	uint64_t sum = 0;
	for (int i = 0; i < N; i++) {
		uint32_t value = change(records[i].key);
		if (keep(value)) sum = fold_one(sum, value);
	}
	return sum;
}

static uint64_t fold_mix(uint64_t sum, uint32_t value)
{
	return mix(sum, value);
}

int main(int argc, char **argv)
{
	static map *const maps[] = { triple, swap_halves };
	static predicate *const predicates[] = { is_odd, is_large };
	static fold *const folds[] = { add, fold_mix };
	static compare *const orders[] = { by_key, by_weight };
	static struct record records[N];
	int rounds = work(argc, argv);
	uint32_t random = 5;
	uint64_t sum = 0;
	for (int round = 0; round < rounds; round++) {
		for (int i = 0; i < N; i++) records[i] = (struct record){ next_random(&random), next_random(&random) % 1000 };
		qsort(records, N, sizeof *records, orders[1]);
		sum = mix(sum, records[N / 3].key);
		qsort(records, N, sizeof *records, orders[0]);
		for (int i = 0; i < N; i++) {
			struct record *found = bsearch(&records[i], records, N, sizeof *records, by_key);
			sum += found->weight;
		}
		for (int i = 0; i < 64; i++) sum = mix(sum, pipeline(records, maps[i & 1], predicates[i >> 1 & 1], folds[i >> 2 & 1]));
	}
	return finish(sum);
}
