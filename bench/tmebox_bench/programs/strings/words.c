/* Word count over text with the C library's own functions: strtok, tolower, strcmp, strchr, strstr, snprintf. */
#include <ctype.h>

#include "../bench.h"

enum { SIZE = 60000, WORDS = 512 };
static const char *const vocabulary[] = {
	"the", "Window", "of", "a", "sandbox", "is", "one", "View", "to", "memory", "and", "in", "that", "Key", "line",
	"owner", "Trap", "call", "return", "verified", "module",
};

static struct {
	char word[16];
	unsigned count;
} seen[WORDS];

static unsigned distinct;

static void count(const char *word)
{
	for (unsigned i = 0; i < distinct; i++)
		if (!strcmp(seen[i].word, word)) {
			seen[i].count++;
			return;
		}
	if (distinct == WORDS) return;
	strncpy(seen[distinct].word, word, sizeof seen->word - 1);
	seen[distinct++].count = 1;
}

static void write_text(char *text, uint32_t seed)
{
	static const char *const ends[] = { " ", " ", " ", ", ", ".\n", "; " };
	size_t length = 0;
	while (length < SIZE - 64) {
		const char *word = vocabulary[next_random(&seed) % (sizeof vocabulary / sizeof *vocabulary)];
		const char *end = ends[next_random(&seed) % 6];
		unsigned number = next_random(&seed) % 8 ? 0 : next_random(&seed) % 300;
		length += (size_t)(number ? snprintf(text + length, 32, "%s%u%s", word, number, end)
					  : snprintf(text + length, 32, "%s%s", word, end));
	}
}

int main(int argc, char **argv)
{
	static char text[SIZE], copy[SIZE];
	int rounds = work(argc, argv);
	uint64_t sum = 0;
	for (int round = 0; round < rounds; round++) {
		write_text(text, (uint32_t)round + 1);
		strcpy(copy, text);
		for (char *c = copy; *c; c++) *c = (char)tolower((unsigned char)*c);
		distinct = 0;
		for (char *word = strtok(copy, " ,.;\n"); word; word = strtok(NULL, " ,.;\n")) count(word);
		for (unsigned i = 0; i < distinct; i++) sum = mix(mix_bytes(sum, seen[i].word, strlen(seen[i].word)), seen[i].count);
		for (const char *line = text; (line = strchr(line, '\n')); line++) sum++;
		for (const char *place = text; (place = strstr(place, "return")); place++) sum = mix(sum, (uint64_t)(place - text));
		sum = mix(sum, strlen(text));
	}
	return finish(sum);
}
