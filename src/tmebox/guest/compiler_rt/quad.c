/* Arithmetic and comparison of __float128. */
#include "quad.h"

static u128 sum(u128 a, u128 b)
{
	u128 large = a & ~QUAD_SIGN, small = b & ~QUAD_SIGN;
	int negative = a >> 127 != 0, differ = (a ^ b) >> 127 != 0;
	if (large > QUAD_INFINITY) return a | QUAD_QUIET;
	if (small > QUAD_INFINITY) return b | QUAD_QUIET;
	if (large < small) {
		u128 other = large;
		large = small;
		small = other;
		negative ^= differ;
	}
	if (large == QUAD_INFINITY) {
		if (differ && small == QUAD_INFINITY) return QUAD_NAN;
		return (negative ? QUAD_SIGN : 0) | large;
	}
	if (differ && large == small) return direction() == DOWN ? QUAD_SIGN : 0;
	if (!small) return (negative ? QUAD_SIGN : 0) | large;
	int exponent, lower;
	u128 x = unpack(large, &exponent) << ROUNDING_BITS, y = unpack(small, &lower) << ROUNDING_BITS;
	y = shift_sticky(y, exponent - lower);
	if (!differ) {
		x += y;
		if (x >> (LEADING + 1)) {
			x = shift_sticky(x, 1);
			exponent++;
		}
	} else {
		x -= y;
		int shift = LEADING - highest_bit(x);
		x <<= shift;
		exponent -= shift;
	}
	return pack(negative, exponent, x);
}

quad __addtf3(quad a, quad b)
{
	return quad_of(sum(bits_of(a), bits_of(b)));
}

quad __subtf3(quad a, quad b)
{
	u128 other = bits_of(b);
	/* A NaN keeps its sign. */
	return quad_of(sum(bits_of(a), (other & ~QUAD_SIGN) > QUAD_INFINITY ? other : other ^ QUAD_SIGN));
}

quad __negtf2(quad a)
{
	return quad_of(bits_of(a) ^ QUAD_SIGN);
}

/* The upper 128 bits of a product; the lowest of them is set if any of the lower ones is. */
static u128 multiply_high(u128 a, u128 b)
{
	uint64_t a1 = (uint64_t)(a >> 64), a0 = (uint64_t)a, b1 = (uint64_t)(b >> 64), b0 = (uint64_t)b;
	u128 low = (u128)a0 * b0, one = (u128)a1 * b0, other = (u128)a0 * b1;
	u128 middle = (low >> 64) + (uint64_t)one + (uint64_t)other;
	u128 high = (u128)a1 * b1 + (one >> 64) + (other >> 64) + (middle >> 64);
	return high | ((uint64_t)middle || (uint64_t)low);
}

quad __multf3(quad left, quad right)
{
	u128 a = bits_of(left), b = bits_of(right), x = a & ~QUAD_SIGN, y = b & ~QUAD_SIGN;
	int negative = (a ^ b) >> 127 != 0;
	u128 sign = negative ? QUAD_SIGN : 0;
	if (x > QUAD_INFINITY) return quad_of(a | QUAD_QUIET);
	if (y > QUAD_INFINITY) return quad_of(b | QUAD_QUIET);
	if (x == QUAD_INFINITY || y == QUAD_INFINITY) return quad_of(x && y ? sign | QUAD_INFINITY : QUAD_NAN);
	if (!x || !y) return quad_of(sign);
	int exponent, other;
	x = unpack(x, &exponent);
	y = unpack(y, &other);
	exponent += other - QUAD_BIAS;
	/* Highest bits at 127 and 116: the product's is at 128 + LEADING, or one higher. */
	u128 product = multiply_high(x << 15, y << 4);
	if (product >> (LEADING + 1)) {
		product = shift_sticky(product, 1);
		exponent++;
	}
	return quad_of(pack(negative, exponent, product));
}

/* A bit of the quotient a time: it is short, and whoever needs speed does not divide by numbers like these. */
quad __divtf3(quad left, quad right)
{
	u128 a = bits_of(left), b = bits_of(right), x = a & ~QUAD_SIGN, y = b & ~QUAD_SIGN;
	int negative = (a ^ b) >> 127 != 0;
	u128 sign = negative ? QUAD_SIGN : 0;
	if (x > QUAD_INFINITY) return quad_of(a | QUAD_QUIET);
	if (y > QUAD_INFINITY) return quad_of(b | QUAD_QUIET);
	if (x == QUAD_INFINITY) return quad_of(y == QUAD_INFINITY ? QUAD_NAN : sign | QUAD_INFINITY);
	if (y == QUAD_INFINITY) return quad_of(sign);
	if (!y) return quad_of(x ? sign | QUAD_INFINITY : QUAD_NAN);
	if (!x) return quad_of(sign);
	int exponent, other;
	x = unpack(x, &exponent);
	y = unpack(y, &other);
	exponent += QUAD_BIAS - other;
	if (x < y) {
		x <<= 1;
		exponent--;
	}
	u128 quotient = 0;
	for (int i = 0; i <= LEADING; i++) {
		quotient <<= 1;
		if (x >= y) {
			x -= y;
			quotient |= 1;
		}
		x <<= 1;
	}
	return quad_of(pack(negative, exponent, quotient | (x != 0)));
}

/* -1, 0 or 1; `unordered` if one of them is a NaN. */
static int compare(quad left, quad right, int unordered)
{
	u128 a = bits_of(left), b = bits_of(right), x = a & ~QUAD_SIGN, y = b & ~QUAD_SIGN;
	if (x > QUAD_INFINITY || y > QUAD_INFINITY) return unordered;
	if (!(x | y)) return 0;
	s128 first = a >> 127 ? -(s128)x : (s128)x, second = b >> 127 ? -(s128)y : (s128)y;
	return (first > second) - (first < second);
}

long __unordtf2(quad a, quad b)
{
	return (bits_of(a) & ~QUAD_SIGN) > QUAD_INFINITY || (bits_of(b) & ~QUAD_SIGN) > QUAD_INFINITY;
}

/* Each is compared with 0 in the way that its name says; that has to be false for NaNs, and true for `ne`. clang looks
   at 32 bits of the result, gcc at 64. */
long __eqtf2(quad a, quad b)
{
	return compare(a, b, 1);
}

long __netf2(quad a, quad b)
{
	return compare(a, b, 1);
}

long __lttf2(quad a, quad b)
{
	return compare(a, b, 1);
}

long __letf2(quad a, quad b)
{
	return compare(a, b, 1);
}

long __gttf2(quad a, quad b)
{
	return compare(a, b, -1);
}

long __getf2(quad a, quad b)
{
	return compare(a, b, -1);
}

long __cmptf2(quad a, quad b)
{
	return compare(a, b, 1);
}

quad __powitf2(quad base, int exponent)
{
	unsigned left = exponent < 0 ? -(unsigned)exponent : (unsigned)exponent;
	quad result = 1;
	for (; left; left >>= 1) {
		if (left & 1) result = __multf3(result, base);
		base = __multf3(base, base);
	}
	return exponent < 0 ? __divtf3(1, result) : result;
}
