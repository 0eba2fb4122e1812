/* 128-bit division and checked multiplication: what the compiler calls for __int128. */
#include <stdint.h>

typedef __int128 s128;
typedef unsigned __int128 u128;

/* One hardware division; the quotient must fit, which it does where high < divisor. */
static inline uint64_t divide_narrow(uint64_t high, uint64_t low, uint64_t divisor, uint64_t *remainder)
{
	uint64_t quotient;
	__asm__("divq %4" : "=a"(quotient), "=d"(*remainder) : "a"(low), "d"(high), "r"(divisor) : "cc");
	return quotient;
}

/* Division by zero traps in the hardware division, as it does for smaller integers.
   Wide divisors: an estimate from the divisor's top 64 bits is at most one too large before the correction that
   makes it at most one too small (H. S. Warren, Hacker's Delight, section 9-5). */
u128 __udivmodti4(u128 a, u128 b, u128 *remainder)
{
	uint64_t high = (uint64_t)(a >> 64), low = (uint64_t)a, rest;
	if (b >> 64 == 0) {
		uint64_t divisor = (uint64_t)b;
		uint64_t top = divide_narrow(0, high, divisor, &rest);
		uint64_t bottom = divide_narrow(rest, low, divisor, &rest);
		if (remainder) *remainder = rest;
		return (u128)top << 64 | bottom;
	}
	if (a < b) {
		if (remainder) *remainder = a;
		return 0;
	}
	int shift = __builtin_clzll((uint64_t)(b >> 64));
	uint64_t top = (uint64_t)((b << shift) >> 64);
	u128 half = a >> 1;
	uint64_t estimate = divide_narrow((uint64_t)(half >> 64), (uint64_t)half, top, &rest);
	uint64_t quotient = (uint64_t)(((u128)estimate << shift) >> 63);
	if (quotient) quotient--;
	u128 left = a - quotient * b;
	if (left >= b) {
		quotient++;
		left -= b;
	}
	if (remainder) *remainder = left;
	return quotient;
}

static u128 magnitude(s128 value)
{
	return value < 0 ? -(u128)value : (u128)value;
}

u128 __udivti3(u128 a, u128 b)
{
	return __udivmodti4(a, b, 0);
}

u128 __umodti3(u128 a, u128 b)
{
	u128 remainder;
	__udivmodti4(a, b, &remainder);
	return remainder;
}

s128 __divmodti4(s128 a, s128 b, s128 *remainder)
{
	u128 rest, quotient = __udivmodti4(magnitude(a), magnitude(b), &rest);
	*remainder = (s128)(a < 0 ? -rest : rest);
	return (s128)((a < 0) != (b < 0) ? -quotient : quotient);
}

s128 __divti3(s128 a, s128 b)
{
	s128 remainder;
	return __divmodti4(a, b, &remainder);
}

s128 __modti3(s128 a, s128 b)
{
	s128 remainder;
	__divmodti4(a, b, &remainder);
	return remainder;
}

s128 __multi3(s128 a, s128 b)
{
	uint64_t a_low = (uint64_t)a, b_low = (uint64_t)b;
	uint64_t cross = (uint64_t)(a >> 64) * b_low + a_low * (uint64_t)(b >> 64);
	return (s128)((u128)a_low * b_low + ((u128)cross << 64));
}

/* `overflow` becomes 1 where the product does not fit, else 0; the result is the product modulo 2^128. */
s128 __muloti4(s128 a, s128 b, int *overflow)
{
	u128 x = magnitude(a), y = magnitude(b), product = x * y;
	int negative = (a < 0) != (b < 0);
	u128 limit = ((u128)1 << 127) - 1 + (u128)negative;
	*overflow = x && (y > ~(u128)0 / x || product > limit);
	return (s128)(negative ? -product : product);
}

int64_t __mulodi4(int64_t a, int64_t b, int *overflow)
{
	int64_t product;
	*overflow = __builtin_mul_overflow(a, b, &product);
	return product;
}

int32_t __mulosi4(int32_t a, int32_t b, int *overflow)
{
	int32_t product;
	*overflow = __builtin_mul_overflow(a, b, &product);
	return product;
}
