/* What the suite's programs, in C and C++, share: their size from the command line, repeatable random numbers, and the one line of
   output by which runs are compared. */
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The program's only argument, a positive number: how much work to do. */
static inline int work(int argc, char **argv)
{
	int amount = argc == 2 ? atoi(argv[1]) : 0;
	if (amount > 0) return amount;
	fprintf(stderr, "usage: %s AMOUNT\n", argv[0]);
	exit(2);
}

static inline uint32_t next_random(uint32_t *state)
{
	uint32_t x = *state;
	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return *state = x;
}

/* Folds a value into a checksum; order counts. */
static inline uint64_t mix(uint64_t sum, uint64_t value)
{
	sum = (sum ^ value) * 0x9e3779b97f4a7c15u;
	return sum ^ sum >> 29;
}

static inline uint64_t mix_bytes(uint64_t sum, const void *data, size_t size)
{
	const unsigned char *bytes = (const unsigned char *)data;
	for (size_t i = 0; i < size; i++) sum = mix(sum, bytes[i]);
	return sum;
}

static inline uint64_t mix_double(uint64_t sum, double value)
{
	uint64_t bits;
	memcpy(&bits, &value, sizeof bits);
	return mix(sum, bits);
}

static inline void *need(void *memory)
{
	if (memory) return memory;
	fputs("out of memory\n", stderr);
	exit(3);
}

static inline int finish(uint64_t sum)
{
	printf("%016llx\n", (unsigned long long)sum);
	return 0;
}

/* A program that finds its own result wrong says so, and every comparison with it fails. */
static inline void expect(int condition, const char *what)
{
	if (condition) return;
	fprintf(stderr, "wrong result: %s\n", what);
	exit(4);
}
