/* The vectorised string functions against the obvious ones, at all small sizes and alignments, between canaries. */
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "check.h"

enum { ROOM = 1024, MARGIN = 64 };
static unsigned char a[ROOM + 2 * MARGIN], b[ROOM + 2 * MARGIN], expected[ROOM + 2 * MARGIN];

/* volatile: the compiler must call the library's functions, not its own. */
static void *(*volatile copy)(void *, const void *, size_t) = memcpy;
static void *(*volatile move)(void *, const void *, size_t) = memmove;
static void *(*volatile fill)(void *, int, size_t) = memset;
static int (*volatile compare)(const void *, const void *, size_t) = memcmp;
static void *(*volatile find)(const void *, int, size_t) = memchr;
static size_t (*volatile length)(const char *) = strlen;
static int (*volatile compare_strings)(const char *, const char *) = strcmp;
static char *(*volatile find_in_string)(const char *, int) = strchr;
static char *(*volatile copy_string)(char *, const char *) = strcpy;

static void randomise(unsigned char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) bytes[i] = (unsigned char)(next_random() >> 32);
}

static void check_copies(size_t n, size_t to, size_t from)
{
	randomise(a, sizeof a);
	randomise(b, sizeof b);
	memcpy(expected, a, sizeof a);
	for (size_t i = 0; i < n; i++) expected[MARGIN + to + i] = b[MARGIN + from + i];
	CHECK(copy(a + MARGIN + to, b + MARGIN + from, n) == a + MARGIN + to);
	CHECK(memcmp(a, expected, sizeof a) == 0);
	/* Overlapping, within one array. */
	for (size_t i = 0; i < sizeof a; i++) expected[i] = a[i];
	for (size_t i = 0; i < n; i++) expected[MARGIN + to + i] = a[MARGIN + from + i];
	move(a + MARGIN + to, a + MARGIN + from, n);
	CHECK(memcmp(a, expected, sizeof a) == 0);
	int byte = (int)next_random();
	for (size_t i = 0; i < n; i++) expected[MARGIN + to + i] = (unsigned char)byte;
	CHECK(fill(a + MARGIN + to, byte, n) == a + MARGIN + to);
	CHECK(memcmp(a, expected, sizeof a) == 0);
}

static int sign(int value)
{
	return (value > 0) - (value < 0);
}

static void check_searches(size_t n, size_t start)
{
	unsigned char *text = a + MARGIN + start, *other = b + MARGIN + start / 2;
	for (size_t i = 0; i < n; i++) text[i] = other[i] = (unsigned char)(1 + next_random() % 255);
	text[n] = other[n] = 0;
	CHECK(length((char *)text) == n);
	CHECK(compare(text, other, n + 1) == 0);
	CHECK(compare_strings((char *)text, (char *)other) == 0);
	CHECK(find_in_string((char *)text, 0) == (char *)text + n);
	CHECK(copy_string((char *)expected, (char *)text) == (char *)expected && memcmp(expected, text, n + 1) == 0);
	if (n == 0) return;
	size_t place = next_random() % n;
	unsigned char wanted = text[place];
	size_t first = 0;
	while (text[first] != wanted) first++;
	CHECK(find(text, wanted, n) == text + first);
	CHECK(find(text, wanted, first) == NULL);
	CHECK(find(text, wanted, SIZE_MAX) == text + first);
	CHECK(find_in_string((char *)text, wanted) == (char *)text + first);
	CHECK(find_in_string((char *)text, wanted + 256) == (char *)text + first);
	other[place] = (unsigned char)(1 + next_random() % 255);
	int expected_sign = sign((int)text[place] - (int)other[place]);
	CHECK(sign(compare(text, other, n)) == expected_sign);
	CHECK(sign(compare_strings((char *)text, (char *)other)) == expected_sign);
	CHECK(strncmp((char *)text, (char *)other, place) == 0);
	other[place] = 0;
	CHECK(compare_strings((char *)text, (char *)other) > 0 && compare_strings((char *)other, (char *)text) < 0);
}

int main(void)
{
	for (size_t n = 0; n <= 600; n++)
		for (int i = 0; i < 6; i++) check_copies(n, next_random() % 80, next_random() % 80);
	for (size_t n = 0; n <= 300; n++)
		for (int i = 0; i < 16; i++) check_searches(n, next_random() % 64);
	/* Large enough for the string instructions, near and far overlaps, both ways. */
	enum { LARGE = 50000 };
	unsigned char *large = malloc(2 * LARGE), *reference = malloc(2 * LARGE);
	static const long distances[] = { 1, 15, 16, 63, 64, 65, 4096, 19999 };
	for (size_t i = 0; i < sizeof distances / sizeof *distances; i++) {
		for (int up = 0; up < 2; up++) {
			unsigned char *to = large + 100, *from = to + distances[i];
			if (up) from = to, to += distances[i];
			randomise(large, 2 * LARGE);
			for (size_t k = 0; k < 2 * LARGE; k++) reference[k] = large[k];
			for (size_t k = 0; k < LARGE - 200; k++) reference[to - large + k] = large[from - large + k];
			move(to, from, LARGE - 200);
			CHECK(memcmp(large, reference, 2 * LARGE) == 0);
		}
	}
	fill(large + 3, 0x5a, LARGE);
	for (size_t k = 0; k < LARGE; k++)
		if (large[3 + k] != 0x5a) CHECK(!"memset left a byte");
	CHECK(strcasecmp("HeLLo", "hEllO") == 0 && strstr("a needle in hay", "needle") && !strpbrk("abc", "xyz"));
	char text[] = "a,b,,c", *rest = text;
	CHECK(!strcmp(strsep(&rest, ","), "a") && !strcmp(strsep(&rest, ","), "b") && !*strsep(&rest, ","));
	FINISH();
}
