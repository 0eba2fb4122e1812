/* A decision tree that a generator wrote out as code: comparisons of globals, one behind the other. */
#include "../bench.h"

static int age, income, debts, years, children, score, region, product, month, late;
static unsigned char employed, owner, married, guarantor;
static unsigned granted, refused, asked;

static int decide(void)
{
	if (late > 3) return owner && guarantor ? 2 : 0;
	if (score < 300) {
		if (!employed) return guarantor ? 2 : 0;
		if (income > 5000) return debts * 4 < income ? 1 : 2;
		return years > 8 && !late ? 2 : 0;
	}
	if (age < 25) {
		if (product == 2) return income > 2500 && employed ? 1 : 0;
		if (children > 1) return married && income > 3000 ? 1 : 2;
		return score > 450 ? 1 : region < 5 ? 2 : 0;
	}
	if (employed) {
		if (debts > income) {
			if (owner) return score > 600 || guarantor ? 1 : 2;
			return month < 3 ? 0 : years > 12 ? 2 : 0;
		}
		if (income > 4000) return 1;
		if (product == 0) return late ? 2 : 1;
		if (product == 1) return region % 3 == 1 && children < 3 ? 1 : 2;
		return score > 500 ? 1 : 0;
	}
	if (owner) return income + 200 * years > 3500 ? 1 : 2;
	return married && guarantor ? 2 : 0;
}

int main(int argc, char **argv)
{
	int rounds = work(argc, argv);
	uint32_t random = 77777777u;
	uint64_t sum = 0;
	for (int round = 0; round < rounds; round++) {
		for (int i = 0; i < 10000; i++) {
			uint32_t value = next_random(&random), more = next_random(&random);
			age = 18 + (int)(value % 60), income = (int)(value >> 8 & 8191), debts = (int)(more & 8191);
			years = (int)(more >> 13) % 20, children = (int)(value >> 21 & 3), score = (int)(more >> 18) % 800;
			region = (int)(value >> 23 & 15), product = (int)(value >> 27) % 3, month = (int)(more >> 28) % 12;
			late = (int)(value >> 29), employed = value & 1, owner = more & 1, married = value >> 1 & 1;
			guarantor = more >> 1 & 1;
			int answer = decide();
			if (answer == 1) granted++;
			else if (answer == 2) asked++;
			else refused++;
		}
		sum = mix(sum, granted ^ (uint64_t)refused << 24 ^ (uint64_t)asked << 44);
	}
	return finish(sum);
}
