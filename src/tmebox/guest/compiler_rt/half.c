/* Conversions of 16-bit floating point (_Float16, __bf16), by bits. Rounding is to nearest, ties to even. */
#include <stdint.h>

typedef union {
	float value;
	uint32_t bits;
} single;

typedef union {
	double value;
	uint64_t bits;
} binary64;

typedef union {
	_Float16 value;
	uint16_t bits;
} half;

enum { HALF_INFINITY = 0x7c00, HALF_QUIET = 0x0200, HALF_MANTISSA = 10, HALF_BIAS = 15, DOUBLE_BIAS = 1023 };

float __extendhfsf2(_Float16 narrow)
{
	uint16_t bits = (half){ .value = narrow }.bits;
	uint32_t sign = (uint32_t)(bits & 0x8000) << 16, exponent = bits >> HALF_MANTISSA & 0x1f, mantissa = bits & 0x3ff;
	if (exponent == 0) {
		/* Subnormal: an integer times 2^-24, exact. */
		single wide = { .value = (float)mantissa * 0x1p-24f };
		wide.bits |= sign;
		return wide.value;
	}
	uint32_t biased = exponent == 0x1f ? 0xff : exponent + 127 - HALF_BIAS;
	uint32_t quiet = exponent == 0x1f && mantissa ? 1u << 22 : 0;
	return (single){ .bits = sign | biased << 23 | mantissa << 13 | quiet }.value;
}

/* Every float is exact as a double, so one routine does both. */
_Float16 __truncdfhf2(double wide)
{
	uint64_t bits = (binary64){ .value = wide }.bits, mantissa = bits & 0xfffffffffffff;
	uint16_t sign = (uint16_t)(bits >> 48 & 0x8000);
	int exponent = (int)(bits >> 52 & 0x7ff);
	if (exponent == 0x7ff) {
		uint16_t payload = mantissa ? (uint16_t)(HALF_QUIET | mantissa >> 42) : 0;
		return (half){ .bits = (uint16_t)(sign | HALF_INFINITY | payload) }.value;
	}
	int biased = exponent - DOUBLE_BIAS + HALF_BIAS;
	/* Significand with its leading one at bit 52; a result below the normal range is shifted further. */
	uint64_t significand = exponent ? mantissa | (uint64_t)1 << 52 : mantissa;
	int shift = 52 - HALF_MANTISSA + (biased < 1 ? 1 - biased : 0);
	if (shift > 62) return (half){ .bits = sign }.value;
	uint64_t kept = significand >> shift, cut = significand & (((uint64_t)1 << shift) - 1);
	uint64_t tie = (uint64_t)1 << (shift - 1);
	kept += cut > tie || (cut == tie && kept & 1);
	/* A carry out of the significand moves to the exponent by itself. */
	uint64_t result = biased < 1 ? kept : ((uint64_t)(biased - 1) << HALF_MANTISSA) + kept;
	if (result > HALF_INFINITY) result = HALF_INFINITY;
	return (half){ .bits = (uint16_t)(sign | result) }.value;
}

_Float16 __truncsfhf2(float wide)
{
	return __truncdfhf2((double)wide);
}

double __extendhfdf2(_Float16 narrow)
{
	return __extendhfsf2(narrow);
}

long double __extendhfxf2(_Float16 narrow)
{
	return __extendhfsf2(narrow);
}

/* 0 where they are equal; NaNs are not. gcc looks at 64 bits of the result. */
long __eqhf2(_Float16 a, _Float16 b)
{
	float x = __extendhfsf2(a), y = __extendhfsf2(b);
	return !(x == y);
}

long __nehf2(_Float16 a, _Float16 b)
{
	return __eqhf2(a, b);
}
