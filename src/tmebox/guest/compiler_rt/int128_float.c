/* Conversions between 128-bit integers and floating point.

   To floating point: rounded once, in the current direction. A 128-bit magnitude is cut to 62 bits whose lowest
   one is set if any bit cut off was, so the conversion of the rest as a signed integer rounds as the whole would.
   To integers: towards zero; out of range gives the nearest integer there is, and NaN zero. */
#include <stdint.h>

typedef __int128 s128;
typedef unsigned __int128 u128;

enum { KEPT_BITS = 62 };

static int bits_of(u128 value)
{
	uint64_t high = (uint64_t)(value >> 64), low = (uint64_t)value;
	if (high) return 128 - __builtin_clzll(high);
	return low ? 64 - __builtin_clzll(low) : 0;
}

/* `cut` is how far the result was shifted right. */
static int64_t sticky(u128 value, int negative, int *cut)
{
	int shift = bits_of(value) - KEPT_BITS;
	*cut = shift > 0 ? shift : 0;
	uint64_t kept = (uint64_t)(value >> *cut);
	if (*cut && value << (128 - *cut)) kept |= 1;
	return negative ? -(int64_t)kept : (int64_t)kept;
}

static u128 magnitude(s128 value)
{
	return value < 0 ? -(u128)value : (u128)value;
}

/* Scaling by a power of two is exact, or overflows to what the rounding direction says. */
static float scale_f(float value, int power)
{
	for (; power > 62; power -= 62) value *= 0x1p62f;
	return value * (float)((uint64_t)1 << power);
}

static double scale(double value, int power)
{
	for (; power > 62; power -= 62) value *= 0x1p62;
	return value * (double)((uint64_t)1 << power);
}

static float to_float(u128 value, int negative)
{
	int cut;
	int64_t kept = sticky(value, negative, &cut);
	return scale_f((float)kept, cut);
}

static double to_double(u128 value, int negative)
{
	int cut;
	int64_t kept = sticky(value, negative, &cut);
	return scale((double)kept, cut);
}

float __floattisf(s128 value)
{
	return to_float(magnitude(value), value < 0);
}

float __floatuntisf(u128 value)
{
	return to_float(value, 0);
}

double __floattidf(s128 value)
{
	return to_double(magnitude(value), value < 0);
}

double __floatuntidf(u128 value)
{
	return to_double(value, 0);
}

/* Both halves are exact in 64 bits of precision, so the sum is rounded once. */
long double __floattixf(s128 value)
{
	return (long double)(int64_t)(value >> 64) * 0x1p64L + (long double)(uint64_t)value;
}

long double __floatuntixf(u128 value)
{
	return (long double)(uint64_t)(value >> 64) * 0x1p64L + (long double)(uint64_t)value;
}

/* A non-negative finite value below 2^128. Truncating the upper half is exact, so the lower one is what is left. */
static u128 truncate(long double value)
{
	uint64_t high = (uint64_t)(value * 0x1p-64L);
	return (u128)high << 64 | (uint64_t)(value - (long double)high * 0x1p64L);
}

u128 __fixunsxfti(long double value)
{
	if (!(value >= 1)) return 0;
	return value >= 0x1p128L ? ~(u128)0 : truncate(value);
}

s128 __fixxfti(long double value)
{
	const u128 limit = (u128)1 << 127;
	if (value != value) return 0;
	if (value >= 0x1p127L) return (s128)(limit - 1);
	if (value <= -0x1p127L) return (s128)limit;
	return value < 0 ? -(s128)truncate(-value) : (s128)truncate(value);
}

s128 __fixsfti(float value)
{
	return __fixxfti(value);
}

s128 __fixdfti(double value)
{
	return __fixxfti(value);
}

u128 __fixunssfti(float value)
{
	return __fixunsxfti(value);
}

u128 __fixunsdfti(double value)
{
	return __fixunsxfti(value);
}
