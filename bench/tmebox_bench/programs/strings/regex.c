/* A matcher of regular expressions by backtracking: . * + ? classes, ^ and $; and the C library's own. */
#include <regex.h>

#include "../bench.h"

static int match_here(const char *pattern, const char *text);

static const char *end_of_atom(const char *pattern)
{
	if (*pattern == '\\') return pattern + 2;
	if (*pattern != '[') return pattern + 1;
	while (*++pattern != ']') continue;
	return pattern + 1;
}

static int match_class(const char *pattern, char c)
{
	int negated = *pattern == '^', found = 0;
	for (pattern += negated; *pattern != ']'; pattern++) {
		if (pattern[1] == '-' && pattern[2] != ']') {
			found |= pattern[0] <= c && c <= pattern[2];
			pattern += 2;
		} else found |= *pattern == c;
	}
	return found != negated;
}

static int match_one(const char *pattern, char c)
{
	if (!c) return 0;
	switch (*pattern) {
	case '.':
		return 1;
	case '[':
		return match_class(pattern + 1, c);
	case '\\':
		return pattern[1] == 'd' ? c >= '0' && c <= '9' : pattern[1] == c;
	default:
		return *pattern == c;
	}
}

static int match_repeat(const char *atom, const char *rest, const char *text, int least, int most)
{
	int count = 0;
	while (count < most && match_one(atom, text[count])) count++;
	for (; count >= least; count--)
		if (match_here(rest, text + count)) return 1;
	return 0;
}

static int match_here(const char *pattern, const char *text)
{
	if (!*pattern) return 1;
	if (*pattern == '$' && !pattern[1]) return !*text;
	const char *end = end_of_atom(pattern);
	switch (*end) {
	case '*':
		return match_repeat(pattern, end + 1, text, 0, 1 << 20);
	case '+':
		return match_repeat(pattern, end + 1, text, 1, 1 << 20);
	case '?':
		return match_repeat(pattern, end + 1, text, 0, 1);
	default:
		return match_one(pattern, *text) && match_here(end, text + 1);
	}
}

static int search(const char *pattern, const char *text)
{
	if (*pattern == '^') return match_here(pattern + 1, text);
	do
		if (match_here(pattern, text)) return 1;
	while (*text++);
	return 0;
}

int main(int argc, char **argv)
{
	static const char *const patterns[] = {
		"^[a-z]+\\d+@[a-z]*\\.[a-z]+$", "x.*y.*z", "[^aeiou]+[aeiou][^aeiou]+$", "\\d\\d-?\\d\\d", "colou?r", "a*a*a*b$",
	};
	enum { PATTERNS = sizeof patterns / sizeof *patterns };
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789@.--aaaaaeeeioouxyz";
	int rounds = work(argc, argv);
	uint32_t random = 13;
	uint64_t sum = 0;
	regex_t compiled;
	expect(regcomp(&compiled, "[0-9]+[a-f]*-", REG_EXTENDED | REG_NOSUB) == 0, "regcomp");
	for (int round = 0; round < rounds * 100; round++) {
		char text[64];
		int length = 10 + (int)(next_random(&random) % 50);
		for (int i = 0; i < length; i++) text[i] = letters[next_random(&random) % (sizeof letters - 1)];
		text[length] = 0;
		for (int i = 0; i < PATTERNS; i++) sum = mix(sum, (uint64_t)search(patterns[i], text));
		if (round % 10 == 0) sum = mix(sum, (uint64_t)regexec(&compiled, text, 0, NULL, 0));
	}
	regfree(&compiled);
	return finish(sum);
}
