/* Conversions from and to __float128, and others that are rounded right by going through it: to it all are exact. */
#include "quad.h"

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

typedef union {
	long double value;
	struct {
		uint64_t significand;
		uint16_t sign_and_exponent;
	} bits;
} extended;

enum { EXTENDED_FRACTION = 63 };

/* From a format with a hidden bit, a fraction of `fraction` bits and `top` as its largest exponent. */
static u128 widen(uint64_t bits, int fraction, int top)
{
	u128 sign = (bits >> fraction) > (uint64_t)top ? QUAD_SIGN : 0, low = bits & (((uint64_t)1 << fraction) - 1);
	int exponent = (int)(bits >> fraction) & top, bias = top >> 1;
	low <<= QUAD_FRACTION - fraction;
	if (exponent == top) return sign | QUAD_INFINITY | low | (low ? QUAD_QUIET : 0);
	if (exponent) return sign | (u128)(exponent - bias + QUAD_BIAS) << QUAD_FRACTION | low;
	if (!low) return sign;
	int shift = QUAD_FRACTION - highest_bit(low);
	return sign | (((u128)(QUAD_BIAS - bias - shift) << QUAD_FRACTION) + (low << shift));
}

/* To such a format, without the sign. */
static uint64_t narrow(u128 bits, int fraction, int top)
{
	u128 magnitude = bits & ~QUAD_SIGN;
	int negative = bits >> 127 != 0, exponent;
	uint64_t infinity = (uint64_t)top << fraction;
	if (magnitude > QUAD_INFINITY) {
		u128 payload = magnitude & (BIT(QUAD_FRACTION) - 1);
		return infinity | (uint64_t)1 << (fraction - 1) | (uint64_t)(payload >> (QUAD_FRACTION - fraction));
	}
	if (magnitude == QUAD_INFINITY) return infinity;
	if (!magnitude) return 0;
	u128 significand = unpack(magnitude, &exponent);
	exponent += (top >> 1) - QUAD_BIAS;
	if (exponent < top) {
		int lost = QUAD_FRACTION - fraction + (exponent < 1 ? 1 - exponent : 0);
		uint64_t kept = (uint64_t)shift_rounded(significand, lost, negative);
		uint64_t result = exponent < 1 ? kept : ((uint64_t)(exponent - 1) << fraction) + kept;
		if (result < infinity) return result;
	}
	return infinity - !overflows_to_infinity(negative);
}

static uint64_t sign_at(u128 bits, int place)
{
	return (uint64_t)(bits >> 127) << place;
}

quad __extendsftf2(float value)
{
	return quad_of(widen((single){ .value = value }.bits, 23, 0xff));
}

quad __extenddftf2(double value)
{
	return quad_of(widen((binary64){ .value = value }.bits, 52, 0x7ff));
}

quad __extendhftf2(_Float16 value)
{
	return quad_of(widen((half){ .value = value }.bits, 10, 0x1f));
}

/* The significand's highest bit is there to see; numbers without it, which no CPU makes, count as what they say. */
quad __extendxftf2(long double value)
{
	extended wide = { .value = value };
	u128 sign = wide.bits.sign_and_exponent >> 15 ? QUAD_SIGN : 0;
	u128 significand = (u128)wide.bits.significand << (QUAD_FRACTION - EXTENDED_FRACTION);
	int exponent = wide.bits.sign_and_exponent & QUAD_EXPONENT_MAX;
	u128 fraction = significand & (BIT(QUAD_FRACTION) - 1);
	if (exponent == QUAD_EXPONENT_MAX) return quad_of(sign | QUAD_INFINITY | fraction | (fraction ? QUAD_QUIET : 0));
	if (!significand) return quad_of(sign);
	int shift = QUAD_FRACTION - highest_bit(significand);
	return quad_of(pack(sign != 0, (exponent ? exponent : 1) - shift, significand << shift << ROUNDING_BITS));
}

float __trunctfsf2(quad value)
{
	u128 bits = bits_of(value);
	return (single){ .bits = (uint32_t)(narrow(bits, 23, 0xff) | sign_at(bits, 31)) }.value;
}

double __trunctfdf2(quad value)
{
	u128 bits = bits_of(value);
	return (binary64){ .bits = narrow(bits, 52, 0x7ff) | sign_at(bits, 63) }.value;
}

_Float16 __trunctfhf2(quad value)
{
	u128 bits = bits_of(value);
	return (half){ .bits = (uint16_t)(narrow(bits, 10, 0x1f) | sign_at(bits, 15)) }.value;
}

long double __trunctfxf2(quad value)
{
	u128 bits = bits_of(value), magnitude = bits & ~QUAD_SIGN;
	int negative = bits >> 127 != 0, exponent = QUAD_EXPONENT_MAX, lost = QUAD_FRACTION - EXTENDED_FRACTION;
	u128 kept = BIT(EXTENDED_FRACTION);
	if (magnitude > QUAD_INFINITY) {
		kept |= BIT(EXTENDED_FRACTION - 1) | (magnitude & (BIT(QUAD_FRACTION) - 1)) >> lost;
	} else if (!magnitude) {
		exponent = 0;
		kept = 0;
	} else if (magnitude < QUAD_INFINITY) {
		u128 significand = unpack(magnitude, &exponent);
		if (exponent < 1) {
			lost += 1 - exponent;
			exponent = 0;
		}
		kept = shift_rounded(significand, lost, negative);
		if (kept >> 64) {
			kept >>= 1;
			exponent++;
		}
		if (!exponent && kept >> EXTENDED_FRACTION) exponent = 1;
		if (exponent == QUAD_EXPONENT_MAX && !overflows_to_infinity(negative)) {
			kept = ~(uint64_t)0;
			exponent--;
		}
	}
	extended result = { .bits = { (uint64_t)kept, (uint16_t)(exponent | negative << 15) } };
	return result.value;
}

/* bfloat16 is returned as _Float16 is: not every compiler has a name for it. */
static _Float16 to_bfloat(quad value)
{
	u128 bits = bits_of(value);
	return (half){ .bits = (uint16_t)(narrow(bits, 7, 0xff) | sign_at(bits, 15)) }.value;
}

_Float16 __truncsfbf2(float value)
{
	return to_bfloat(__extendsftf2(value));
}

_Float16 __truncdfbf2(double value)
{
	return to_bfloat(__extenddftf2(value));
}

_Float16 __truncxfbf2(long double value)
{
	return to_bfloat(__extendxftf2(value));
}

_Float16 __trunctfbf2(quad value)
{
	return to_bfloat(value);
}

_Float16 __truncxfhf2(long double value)
{
	return __trunctfhf2(__extendxftf2(value));
}

/* -- integers -- */

static quad from_integer(u128 magnitude, int negative)
{
	if (!magnitude) return quad_of(0);
	int top = highest_bit(magnitude);
	u128 significand = top > LEADING ? shift_sticky(magnitude, top - LEADING) : magnitude << (LEADING - top);
	return quad_of(pack(negative, QUAD_BIAS + top, significand));
}

static u128 size_of(s128 value)
{
	return value < 0 ? -(u128)value : (u128)value;
}

/* Towards zero; at most `limit`. */
static u128 to_integer(u128 magnitude, u128 limit)
{
	int exponent;
	if (magnitude > QUAD_INFINITY || magnitude < (u128)QUAD_BIAS << QUAD_FRACTION) return 0;
	u128 significand = unpack(magnitude, &exponent);
	int shift = exponent - QUAD_BIAS - QUAD_FRACTION;
	if (shift > 127 - QUAD_FRACTION) return limit;
	u128 result = shift > 0 ? significand << shift : significand >> -shift;
	return result < limit ? result : limit;
}

/* Out of range gives the nearest integer there is, and NaN zero. */
static s128 to_signed(quad value, int width)
{
	u128 bits = bits_of(value), largest = BIT(width - 1) - 1;
	if (bits >> 127) return -(s128)to_integer(bits & ~QUAD_SIGN, largest + 1);
	return (s128)to_integer(bits, largest);
}

static u128 to_unsigned(quad value, int width)
{
	u128 bits = bits_of(value);
	return bits >> 127 ? 0 : to_integer(bits, ~(u128)0 >> (128 - width));
}

quad __floatsitf(int32_t value)
{
	return from_integer(size_of(value), value < 0);
}

quad __floatditf(int64_t value)
{
	return from_integer(size_of(value), value < 0);
}

quad __floattitf(s128 value)
{
	return from_integer(size_of(value), value < 0);
}

quad __floatunsitf(uint32_t value)
{
	return from_integer(value, 0);
}

quad __floatunditf(uint64_t value)
{
	return from_integer(value, 0);
}

quad __floatuntitf(u128 value)
{
	return from_integer(value, 0);
}

/* Magnitudes below 2^113 are exact as __float128, so that rounding comes once; the others are too large anyway. */
static _Float16 half_from_integer(u128 magnitude, int negative)
{
	return __trunctfhf2(from_integer(magnitude < BIT(100) ? magnitude : BIT(100), negative));
}

_Float16 __floattihf(s128 value)
{
	return half_from_integer(size_of(value), value < 0);
}

_Float16 __floatuntihf(u128 value)
{
	return half_from_integer(value, 0);
}

int32_t __fixtfsi(quad value)
{
	return (int32_t)to_signed(value, 32);
}

int64_t __fixtfdi(quad value)
{
	return (int64_t)to_signed(value, 64);
}

s128 __fixtfti(quad value)
{
	return to_signed(value, 128);
}

uint32_t __fixunstfsi(quad value)
{
	return (uint32_t)to_unsigned(value, 32);
}

uint64_t __fixunstfdi(quad value)
{
	return (uint64_t)to_unsigned(value, 64);
}

u128 __fixunstfti(quad value)
{
	return to_unsigned(value, 128);
}

s128 __fixhfti(_Float16 value)
{
	return to_signed(__extendhftf2(value), 128);
}

u128 __fixunshfti(_Float16 value)
{
	return to_unsigned(__extendhftf2(value), 128);
}
