/* Self-checking programs: every failed CHECK is printed, and the exit code is the number of them. */
#pragma once
#include <stdio.h>
#include <stdlib.h>

static int failed_checks;

#define CHECK(condition)                                                                  \
	do {                                                                              \
		if (!(condition)) {                                                       \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);   \
			failed_checks++;                                                  \
		}                                                                         \
	} while (0)

#define FINISH() return failed_checks > 100 ? 100 : failed_checks

/* A small generator, the same everywhere. */
static unsigned long random_state = 88172645463325252UL;

static inline unsigned long next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}
