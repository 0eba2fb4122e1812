/* What the suite's two virtual machines run: a sieve of primes, and the lengths of Collatz sequences.

   Code is pairs of words, operation and operand; a jump's operand is the index of a pair. */
#pragma once

#include "../bench.h"

enum operation { PUSH, LOAD, STORE, ADD, SUB, MUL, DIV, MOD, LESS, JUMP, UNLESS, GET, SET, CALL, RETURN, HALT };
enum variable { I, J, PRIMES, N, STEPS, LONGEST, VARIABLES };
enum { SIEVE = 4000, STARTS = 600, STACK_SIZE = 32 };

struct instruction {
	int32_t operation, operand;
};

static int32_t variables[VARIABLES], array[SIEVE];

static const struct instruction program[] = {
	/* for (i = 0; i < SIEVE; i++) array[i] = 0; */
	/*  0 */ { PUSH, 0 }, { STORE, I },
	/*  2 */ { LOAD, I }, { PUSH, SIEVE }, { LESS, 0 }, { UNLESS, 14 },
	/*  6 */ { LOAD, I }, { PUSH, 0 }, { SET, 0 },
	/*  9 */ { LOAD, I }, { PUSH, 1 }, { ADD, 0 }, { STORE, I }, { JUMP, 2 },
	/* for (i = 2; i < SIEVE; i++) */
	/* 14 */ { PUSH, 2 }, { STORE, I },
	/* 16 */ { LOAD, I }, { PUSH, SIEVE }, { LESS, 0 }, { UNLESS, 37 },
	/*     if (array[i] < 1) { primes++; mark(); } */
	/* 20 */ { LOAD, I }, { GET, 0 }, { PUSH, 1 }, { LESS, 0 }, { UNLESS, 30 },
	/* 25 */ { LOAD, PRIMES }, { PUSH, 1 }, { ADD, 0 }, { STORE, PRIMES }, { CALL, 70 },
	/* 30 */ { LOAD, I }, { PUSH, 1 }, { ADD, 0 }, { STORE, I }, { JUMP, 16 },
	/* 35 */ { HALT, 0 }, { HALT, 0 },
	/* for (i = 1; i < STARTS; i++) { n = i; steps = 0; fly(); if (longest < steps) longest = steps; } */
	/* 37 */ { PUSH, 1 }, { STORE, I },
	/* 39 */ { LOAD, I }, { PUSH, STARTS }, { LESS, 0 }, { UNLESS, 69 },
	/* 43 */ { LOAD, I }, { STORE, N }, { PUSH, 0 }, { STORE, STEPS }, { CALL, 85 },
	/* 48 */ { LOAD, LONGEST }, { LOAD, STEPS }, { LESS, 0 }, { UNLESS, 54 },
	/* 52 */ { LOAD, STEPS }, { STORE, LONGEST },
	/* 54 */ { LOAD, I }, { PUSH, 1 }, { ADD, 0 }, { STORE, I }, { JUMP, 39 },
	/* 59 */ { HALT, 0 }, { HALT, 0 }, { HALT, 0 }, { HALT, 0 }, { HALT, 0 },
	/* 64 */ { HALT, 0 }, { HALT, 0 }, { HALT, 0 }, { HALT, 0 }, { HALT, 0 },
	/* 69 */ { HALT, 0 },
	/* mark: for (j = i + i; j < SIEVE; j += i) array[j] = 1; */
	/* 70 */ { LOAD, I }, { LOAD, I }, { ADD, 0 }, { STORE, J },
	/* 74 */ { LOAD, J }, { PUSH, SIEVE }, { LESS, 0 }, { UNLESS, 84 },
	/* 78 */ { LOAD, J }, { PUSH, 1 }, { SET, 0 },
	/* 81 */ { LOAD, J }, { JUMP, 110 },
	/* 83 */ { HALT, 0 },
	/* 84 */ { RETURN, 0 },
	/* fly: while (1 < n) { steps++; n = n % 2 ? 3 * n + 1 : n / 2; } */
	/* 85 */ { PUSH, 1 }, { LOAD, N }, { LESS, 0 }, { UNLESS, 109 },
	/* 89 */ { LOAD, STEPS }, { PUSH, 1 }, { ADD, 0 }, { STORE, STEPS },
	/* 93 */ { LOAD, N }, { PUSH, 2 }, { MOD, 0 }, { UNLESS, 104 },
	/* 97 */ { LOAD, N }, { PUSH, 3 }, { MUL, 0 }, { PUSH, 1 }, { ADD, 0 }, { STORE, N }, { JUMP, 85 },
	/* 104 */ { LOAD, N }, { PUSH, 2 }, { DIV, 0 }, { STORE, N }, { JUMP, 85 },
	/* 109 */ { RETURN, 0 },
	/* 110 */ { LOAD, I }, { ADD, 0 }, { STORE, J }, { JUMP, 74 },
};

/* Runs `program` to its HALT and returns how many instructions that took. */
static int64_t run(void);

static int drive(int argc, char **argv)
{
	int rounds = work(argc, argv);
	int64_t executed = 0;
	for (int round = 0; round < rounds; round++) {
		memset(variables, 0, sizeof variables);
		executed += run();
		expect(variables[PRIMES] == 550 && variables[LONGEST] == 143, "primes below 4000, longest flight");
	}
	return finish(mix(0, (uint64_t)executed));
}
