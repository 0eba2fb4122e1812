/* Our functions for __float128 and 16-bit formats, as our…, against what the host's compiler calls for its operators:
   bit for bit, in every direction of rounding that the host's library knows. NaNs count as equal. */
#include <fenv.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef __int128 s128;
typedef unsigned __int128 u128;
typedef __float128 quad;
typedef _Complex float quad_complex __attribute__((mode(TC)));

quad our__addtf3(quad, quad), our__subtf3(quad, quad), our__multf3(quad, quad), our__divtf3(quad, quad), our__negtf2(quad);
long our__eqtf2(quad, quad), our__netf2(quad, quad), our__lttf2(quad, quad), our__letf2(quad, quad), our__gttf2(quad, quad);
long our__getf2(quad, quad), our__unordtf2(quad, quad);
quad our__extendsftf2(float), our__extenddftf2(double), our__extendxftf2(long double), our__extendhftf2(_Float16);
float our__trunctfsf2(quad);
double our__trunctfdf2(quad);
long double our__trunctfxf2(quad), our__extendhfxf2(_Float16);
_Float16 our__trunctfhf2(quad), our__truncxfhf2(long double), our__truncsfbf2(float), our__truncdfbf2(double);
_Float16 our__floattihf(s128), our__floatuntihf(u128);
double our__extendhfdf2(_Float16);
long our__eqhf2(_Float16, _Float16);
quad our__floatsitf(int32_t), our__floatditf(int64_t), our__floattitf(s128), our__floatunsitf(uint32_t);
quad our__floatunditf(uint64_t), our__floatuntitf(u128);
int32_t our__fixtfsi(quad);
int64_t our__fixtfdi(quad);
s128 our__fixtfti(quad), our__fixhfti(_Float16);
uint32_t our__fixunstfsi(quad);
uint64_t our__fixunstfdi(quad);
u128 our__fixunstfti(quad), our__fixunshfti(_Float16);
quad_complex our__multc3(quad, quad, quad, quad), our__divtc3(quad, quad, quad, quad);

static uint64_t state = 88172645463325252u;
static int wrong;

static uint64_t word(void)
{
	state ^= state << 13, state ^= state >> 7, state ^= state << 17;
	return state * 2685821657736338717u;
}

static u128 wide(void)
{
	u128 value = (u128)word() << 64 | word();
	/* Runs of ones and zeros, so that carries are long and ties are met. */
	switch (word() % 4) {
	case 0: return value;
	case 1: return value & ~(u128)0 << word() % 128;
	case 2: return value | ~(u128)0 >> word() % 128;
	default: return (u128)1 << word() % 128;
	}
}

static quad as_quad(u128 bits)
{
	quad value;
	memcpy(&value, &bits, 16);
	return value;
}

/* All exponents, or near 1, or near the ends of narrower formats; infinities, zeros and NaNs. */
static quad number(void)
{
	static const int ends[] = { 0, 1, 2, 16383, 16383 + 15, 16383 - 14, 16383 - 25, 16383 + 127, 16383 - 126, 16383 - 149,
				    16383 + 1023, 16383 - 1022, 16383 - 1074, 32766, 16383 - 133, 113, 64, 16383 + 63, 16383 + 127 };
	u128 fraction = wide() >> 16, sign = (u128)(word() & 1) << 127;
	int exponent;
	switch (word() % 8) {
	case 0: exponent = (int)(word() & 0x7fff); break;
	case 1:
	case 2: exponent = 16383 + (int)(word() % 240) - 120; break;
	case 3: exponent = 32767, fraction &= word() & 1 ? ~(u128)0 : 0; break;
	case 4: exponent = 0, fraction >>= word() % 113; break;
	default: exponent = ends[word() % (sizeof ends / sizeof *ends)] + (int)(word() % 5) - 2;
	}
	if (exponent < 0) exponent = 0;
	return as_quad(sign | (u128)exponent << 112 | fraction);
}

static int same(const void *a, const void *b, int size, int both_nan)
{
	return both_nan || memcmp(a, b, size) == 0;
}

/* Evaluates the host's side in the direction at hand. */
#define CHECK(TYPE, OURS, THEIRS, SIZE)                                                                    \
	do {                                                                                               \
		volatile TYPE ours = OURS, theirs = THEIRS;                                                \
		TYPE o = ours, t = theirs;                                                                 \
		if (!same(&o, &t, SIZE, o != o && t != t) && wrong++ < 20)                                 \
			printf("%s, direction %d\n", #OURS, fegetround());                                 \
	} while (0)
#define SIGN_OF(x) (((x) > 0) - ((x) < 0))

static void arithmetic(quad x, quad y)
{
	CHECK(quad, our__addtf3(x, y), x + y, 16);
	CHECK(quad, our__subtf3(x, y), x - y, 16);
	CHECK(quad, our__multf3(x, y), x * y, 16);
	CHECK(quad, our__divtf3(x, y), x / y, 16);
	CHECK(quad, our__negtf2(x), -x, 16);
	CHECK(int, our__eqtf2(x, y) == 0, x == y, 4);
	CHECK(int, our__netf2(x, y) != 0, x != y, 4);
	CHECK(int, our__lttf2(x, y) < 0, x < y, 4);
	CHECK(int, our__letf2(x, y) <= 0, x <= y, 4);
	CHECK(int, our__gttf2(x, y) > 0, x > y, 4);
	CHECK(int, our__getf2(x, y) >= 0, x >= y, 4);
	CHECK(int, our__unordtf2(x, y) != 0, __builtin_isunordered(x, y), 4);
}

static void formats(quad x)
{
	CHECK(float, our__trunctfsf2(x), (float)x, 4);
	CHECK(double, our__trunctfdf2(x), (double)x, 8);
	CHECK(long double, our__trunctfxf2(x), (long double)x, 10);
	CHECK(_Float16, our__trunctfhf2(x), (_Float16)x, 2);
	float f = (float)x;
	double d = (double)x;
	long double l = (long double)x;
	_Float16 h = (_Float16)x;
	CHECK(quad, our__extendsftf2(f), (quad)f, 16);
	CHECK(quad, our__extenddftf2(d), (quad)d, 16);
	CHECK(quad, our__extendxftf2(l), (quad)l, 16);
	CHECK(quad, our__extendhftf2(h), (quad)h, 16);
	CHECK(_Float16, our__truncxfhf2(l), (_Float16)l, 2);
	CHECK(double, our__extendhfdf2(h), (double)h, 8);
	CHECK(long double, our__extendhfxf2(h), (long double)h, 10);
}

static void integers(quad x)
{
	u128 bits = wide() >> word() % 128;
	CHECK(quad, our__floatsitf((int32_t)bits), (quad)(int32_t)bits, 16);
	CHECK(quad, our__floatditf((int64_t)bits), (quad)(int64_t)bits, 16);
	CHECK(quad, our__floattitf((s128)bits), (quad)(s128)bits, 16);
	CHECK(quad, our__floatunsitf((uint32_t)bits), (quad)(uint32_t)bits, 16);
	CHECK(quad, our__floatunditf((uint64_t)bits), (quad)(uint64_t)bits, 16);
	CHECK(quad, our__floatuntitf(bits), (quad)bits, 16);
	CHECK(_Float16, our__floattihf((s128)bits), (_Float16)(s128)bits, 2);
	CHECK(_Float16, our__floatuntihf(bits), (_Float16)bits, 2);
	/* Out of range C leaves open what comes out. */
	if (x > -0x1p31 && x < 0x1p31 - 1) CHECK(int32_t, our__fixtfsi(x), (int32_t)x, 4);
	if (x > -0x1p63 && x < 0x1p63 - 512) CHECK(int64_t, our__fixtfdi(x), (int64_t)x, 8);
	if (x > -0x1p127 && x < 0x1p127) CHECK(s128, our__fixtfti(x), (s128)x, 16);
	if (x > -1 && x < 0x1p32) CHECK(uint32_t, our__fixunstfsi(x), (uint32_t)x, 4);
	if (x > -1 && x < 0x1p64) CHECK(uint64_t, our__fixunstfdi(x), (uint64_t)x, 8);
	if (x > -1 && x < 0x1p128) CHECK(u128, our__fixunstfti(x), (u128)x, 16);
	_Float16 h = (_Float16)x;
	if (h == h && h - h == 0) {
		CHECK(s128, our__fixhfti(h), (s128)h, 16);
		if (h > -1) CHECK(u128, our__fixunshfti(h), (u128)h, 16);
	}
	_Float16 other = (_Float16)(float)word();
	CHECK(int, our__eqhf2(h, other) == 0, h == other, 4);
	CHECK(int, our__eqhf2(h, h) == 0, h == h, 4);
}

/* bfloat16 is the upper half of a float: rounded here by hand, to nearest. */
static uint16_t bfloat(double value)
{
	float narrow = (float)value;
	uint32_t bits;
	double back = narrow;
	memcpy(&bits, &narrow, 4);
	if (narrow != narrow) return 0x7fc0;
	if (back != value) {
		/* To odd, so that the second rounding sees that something was cut off. */
		uint64_t exact, near;
		memcpy(&exact, &value, 8);
		memcpy(&near, &back, 8);
		if ((near & ~(uint64_t)0 >> 1) > (exact & ~(uint64_t)0 >> 1)) bits--;
		bits |= 1;
	}
	return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static void bfloats(quad x)
{
	double d = (double)x;
	float f = (float)x;
	_Float16 from_double = our__truncdfbf2(d), from_float = our__truncsfbf2(f);
	uint16_t bits;
	memcpy(&bits, &from_double, 2);
	if (d == d && bits != bfloat(d) && wrong++ < 20) printf("truncdfbf2 %a: %x %x\n", d, bits, bfloat(d));
	memcpy(&bits, &from_float, 2);
	if (f == f && bits != bfloat(f) && wrong++ < 20) printf("truncsfbf2 %a: %x %x\n", (double)f, bits, bfloat(f));
}

static void complex_numbers(quad a, quad b, quad c, quad d)
{
	quad_complex product = our__multc3(a, b, c, d), x, y;
	__real__ x = a, __imag__ x = b, __real__ y = c, __imag__ y = d;
	quad_complex expected = x * y;
	CHECK(quad, __real__ product, __real__ expected, 16);
	CHECK(quad, __imag__ product, __imag__ expected, 16);
	quad_complex quotient = our__divtc3(3, 1, 1, -2);
	quad off = __real__ quotient - (quad)0.2, other = __imag__ quotient - (quad)1.4;
	CHECK(int, off < 1e-15 && off > -1e-15 && other < 1e-15 && other > -1e-15, 1, 4);
	quotient = our__divtc3(1, 1, as_quad((u128)32700 << 112), as_quad((u128)32700 << 112));
	CHECK(int, __real__ quotient != 0 && __imag__ quotient == 0, 1, 4);
}

int main(void)
{
	static const int directions[] = { FE_TONEAREST, FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO };
#ifdef __clang__
	const int count = 1; /* its library rounds to nearest only */
#else
	const int count = 4;
#endif
	for (int i = 0; i < 60000; i++) {
		fesetround(directions[i % count]);
		quad x = number(), y = number();
		/* Neighbours, so that most of a difference cancels out. */
		if (word() % 4 == 0) y = as_quad(((u128)(word() & 1) << 127) ^ (wide() >> (16 + word() % 112))) + x;
		arithmetic(x, y);
		formats(x);
		integers(x);
		complex_numbers(x, y, number(), number());
		fesetround(FE_TONEAREST);
		bfloats(x);
	}
	return wrong != 0;
}
