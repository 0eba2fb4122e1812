/* How long moving bytes takes, by this program's own clock. `streams byte COUNT`: writes of one byte to stdout, the least
 * of many short runs, in ns each. `streams bulk IN OUT`: reads so many bytes from stdin, then writes so many to stdout, in
 * ns altogether. The figure goes to stderr. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PIECE = 65536, RUNS = 200 };

static char piece[PIECE];

static double now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static double byte(long count)
{
	double least = 1e18;
	for (int run = 0; run < RUNS; run++) {
		double began = now_ns();
		for (long i = 0; i < count; i++) {
			if (write(1, piece, 1) != 1) exit(1);
		}
		double each = (now_ns() - began) / (double)count;
		if (each < least) least = each;
	}
	return least;
}

static double bulk(long in, long out)
{
	memset(piece, 'x', sizeof piece);
	double began = now_ns();
	while (in > 0) {
		ssize_t got = read(0, piece, sizeof piece);
		if (got <= 0) exit(1);
		in -= got;
	}
	while (out > 0) {
		ssize_t put = write(1, piece, out < PIECE ? (size_t)out : PIECE);
		if (put <= 0) exit(1);
		out -= put;
	}
	return now_ns() - began;
}

int main(int count, char **words)
{
	if (count == 3 && !strcmp(words[1], "byte")) fprintf(stderr, "%.2f\n", byte(atol(words[2])));
	else if (count == 4 && !strcmp(words[1], "bulk")) fprintf(stderr, "%.0f\n", bulk(atol(words[2]), atol(words[3])));
	else return 2;
	return 0;
}
