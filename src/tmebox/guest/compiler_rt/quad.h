/* IEEE 754 binary128 (__float128) as integers: a sign, 15 bits of exponent, 112 of fraction. Results are rounded once,
   in the current direction; no exception flags are raised. NaNs stay NaNs. */
#pragma once

#include <stdint.h>

typedef __int128 s128;
typedef unsigned __int128 u128;
typedef __float128 quad;

enum { QUAD_FRACTION = 112, QUAD_BIAS = 16383, QUAD_EXPONENT_MAX = 0x7fff };

#define BIT(n) ((u128)1 << (n))
#define QUAD_SIGN BIT(127)
#define QUAD_INFINITY ((u128)QUAD_EXPONENT_MAX << QUAD_FRACTION)
#define QUAD_QUIET BIT(QUAD_FRACTION - 1)
#define QUAD_NAN (QUAD_INFINITY | QUAD_QUIET)

/* Bits below a significand that its operation adds, for rounding: two, and one that is set if any below is. */
enum { ROUNDING_BITS = 3, LEADING = QUAD_FRACTION + ROUNDING_BITS };

static inline u128 bits_of(quad value)
{
	union {
		quad value;
		u128 bits;
	} both = { .value = value };
	return both.bits;
}

static inline quad quad_of(u128 bits)
{
	union {
		u128 bits;
		quad value;
	} both = { .bits = bits };
	return both.value;
}

/* Directions as MXCSR has them. */
enum { TO_NEAREST, DOWN, UP, TO_ZERO };

static inline int direction(void)
{
	uint32_t state;
	__asm__ volatile("stmxcsr %0" : "=m"(state));
	return state >> 13 & 3;
}

/* Position of the highest bit that is set; value is not 0. */
static inline int highest_bit(u128 value)
{
	uint64_t high = (uint64_t)(value >> 64);
	return high ? 127 - __builtin_clzll(high) : 63 - __builtin_clzll((uint64_t)value);
}

/* value >> count, its lowest bit set if any bit that went is. */
static inline u128 shift_sticky(u128 value, int count)
{
	if (count <= 0) return value;
	if (count > 127) return value != 0;
	return value >> count | ((value & (BIT(count) - 1)) != 0);
}

/* value >> count, rounded. */
static inline u128 shift_rounded(u128 value, int count, int negative)
{
	u128 sticky = count > 2 ? shift_sticky(value, count - 2) : value << (2 - count);
	u128 kept = sticky >> 2;
	int rest = (int)(sticky & 3);
	switch (direction()) {
	case TO_NEAREST: return kept + (rest > 2 || (rest == 2 && kept & 1));
	case DOWN: return kept + (rest && negative);
	case UP: return kept + (rest && !negative);
	default: return kept;
	}
}

/* Whether what is too large becomes infinite, rather than the largest finite number. */
static inline int overflows_to_infinity(int negative)
{
	int way = direction();
	return way == TO_NEAREST || way == (negative ? DOWN : UP);
}

/* The significand of a finite magnitude that is not 0, its highest bit at QUAD_FRACTION; the exponent may be below 1. */
static inline u128 unpack(u128 magnitude, int *exponent)
{
	u128 fraction = magnitude & (BIT(QUAD_FRACTION) - 1);
	*exponent = (int)(magnitude >> QUAD_FRACTION);
	if (*exponent) return fraction | BIT(QUAD_FRACTION);
	int shift = QUAD_FRACTION - highest_bit(fraction);
	*exponent = 1 - shift;
	return fraction << shift;
}

/* From a significand with its highest bit at LEADING. A carry out of the fraction moves to the exponent by itself. */
static inline u128 pack(int negative, int exponent, u128 significand)
{
	u128 sign = negative ? QUAD_SIGN : 0;
	if (exponent < QUAD_EXPONENT_MAX) {
		int lost = exponent < 1 ? 1 - exponent : 0;
		u128 kept = shift_rounded(significand, ROUNDING_BITS + lost, negative);
		u128 result = exponent < 1 ? kept : ((u128)(exponent - 1) << QUAD_FRACTION) + kept;
		if (result < QUAD_INFINITY) return sign | result;
	}
	return sign | (QUAD_INFINITY - !overflows_to_infinity(negative));
}
