/* Hash table with chains: words counted, looked up, removed, and the table grown. */
#include "../bench.h"

struct entry {
	struct entry *next;
	uint32_t hash, count;
	char word[12];
};

struct table {
	struct entry **buckets;
	uint32_t mask, used;
};

static uint32_t hash(const char *word)
{
	uint32_t value = 2166136261u;
	for (; *word; word++) value = (value ^ (unsigned char)*word) * 16777619u;
	return value ^ value >> 15;
}

static void grow(struct table *table)
{
	uint32_t mask = table->mask * 2 + 1;
	struct entry **buckets = need(calloc(mask + 1, sizeof *buckets));
	for (uint32_t i = 0; table->buckets && i <= table->mask; i++)
		for (struct entry *entry = table->buckets[i], *next; entry; entry = next) {
			next = entry->next;
			entry->next = buckets[entry->hash & mask];
			buckets[entry->hash & mask] = entry;
		}
	free(table->buckets);
	table->buckets = buckets;
	table->mask = mask;
}

static struct entry **find(struct table *table, const char *word, uint32_t hashed)
{
	struct entry **link = &table->buckets[hashed & table->mask];
	while (*link && ((*link)->hash != hashed || strcmp((*link)->word, word))) link = &(*link)->next;
	return link;
}

static void count_word(struct table *table, const char *word)
{
	uint32_t hashed = hash(word);
	struct entry **link = find(table, word, hashed);
	if (!*link) {
		struct entry *entry = need(calloc(1, sizeof *entry));
		entry->hash = hashed;
		strcpy(entry->word, word);
		*link = entry;
		if (++table->used > table->mask) {
			grow(table);
			link = find(table, word, hashed);
		}
	}
	(*link)->count++;
}

static void spell(char *word, uint32_t number)
{
	int length = 0;
	do word[length++] = (char)('a' + number % 26);
	while (number /= 26);
	word[length] = 0;
}

int main(int argc, char **argv)
{
	int rounds = work(argc, argv);
	struct table table = { .mask = 15 };
	uint32_t random = 31337;
	uint64_t sum = 0;
	char word[12];
	table.mask = 7;
	grow(&table);
	for (int round = 0; round < rounds; round++) {
		for (int i = 0; i < 100000; i++) {
			uint32_t number = next_random(&random);
			spell(word, number % 7 ? number % 3000 : number % 200000);
			count_word(&table, word);
		}
		for (int i = 0; i < 20000; i++) {
			spell(word, next_random(&random) % 200000);
			struct entry **link = find(&table, word, hash(word)), *entry = *link;
			if (!entry) continue;
			sum = mix(sum, entry->count);
			*link = entry->next;
			free(entry);
			table.used--;
		}
	}
	return finish(mix(sum, table.used));
}
