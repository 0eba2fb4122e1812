/* Our compiler run-time functions, under other names, against the host compiler's operators and its own library.
   Prints every disagreement; the exit code is 0 if there was none. */
#include <complex.h>
#include <fenv.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef __int128 s128;
typedef unsigned __int128 u128;

#define OURS(result, name, ...) result our##name(__VA_ARGS__)
OURS(u128, __udivti3, u128, u128);
OURS(u128, __umodti3, u128, u128);
OURS(s128, __divti3, s128, s128);
OURS(s128, __modti3, s128, s128);
OURS(u128, __udivmodti4, u128, u128, u128 *);
OURS(s128, __divmodti4, s128, s128, s128 *);
OURS(s128, __multi3, s128, s128);
OURS(s128, __muloti4, s128, s128, int *);
OURS(int64_t, __mulodi4, int64_t, int64_t, int *);
OURS(float, __floattisf, s128);
OURS(double, __floattidf, s128);
OURS(long double, __floattixf, s128);
OURS(float, __floatuntisf, u128);
OURS(double, __floatuntidf, u128);
OURS(long double, __floatuntixf, u128);
OURS(s128, __fixsfti, float);
OURS(s128, __fixdfti, double);
OURS(s128, __fixxfti, long double);
OURS(u128, __fixunssfti, float);
OURS(u128, __fixunsdfti, double);
OURS(u128, __fixunsxfti, long double);
OURS(float _Complex, __mulsc3, float, float, float, float);
OURS(double _Complex, __muldc3, double, double, double, double);
OURS(long double _Complex, __mulxc3, long double, long double, long double, long double);
OURS(double _Complex, __divdc3, double, double, double, double);
OURS(double, __powidf2, double, int);
OURS(int, __popcountdi2, int64_t);
OURS(int, __popcountti2, s128);
OURS(int, __paritydi2, int64_t);
OURS(int, __clzti2, s128);
OURS(int, __ctzti2, s128);
OURS(int, __ffsti2, s128);
OURS(int, __ffsdi2, int64_t);

static int wrong;

#define SAME(ours, theirs)                                                              \
	do {                                                                            \
		if (!((ours) == (theirs)) && wrong++ < 20) printf("%d: %s\n", __LINE__, #ours); \
	} while (0)

static uint64_t state = 88172645463325252u;

static uint64_t word(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* All lengths, and values beside powers of two. */
static u128 wide(void)
{
	u128 value = (u128)word() << 64 | word();
	value >>= word() % 128;
	switch (word() % 8) {
	case 0:
		return ((u128)1 << word() % 128) - 1;
	case 1:
		return (u128)1 << word() % 128;
	case 2:
		return ~value;
	default:
		return value;
	}
}

static void integers(void)
{
	u128 a = wide(), b = wide();
	int ours, theirs;
	s128 product;
	int64_t narrow;
	if (b) {
		u128 rest;
		SAME(our__udivti3(a, b), a / b);
		SAME(our__umodti3(a, b), a % b);
		SAME(our__udivmodti4(a, b, &rest), a / b);
		SAME(rest, a % b);
		if (a != (u128)1 << 127 || b != ~(u128)0) {
			s128 left;
			SAME(our__divti3((s128)a, (s128)b), (s128)a / (s128)b);
			SAME(our__modti3((s128)a, (s128)b), (s128)a % (s128)b);
			SAME(our__divmodti4((s128)a, (s128)b, &left), (s128)a / (s128)b);
			SAME(left, (s128)a % (s128)b);
		}
	}
	SAME((u128)our__multi3((s128)a, (s128)b), a * b);
	theirs = __builtin_mul_overflow((s128)a, (s128)b, &product);
	SAME(our__muloti4((s128)a, (s128)b, &ours), product);
	SAME(ours, theirs);
	theirs = __builtin_mul_overflow((int64_t)a, (int64_t)b, &narrow);
	SAME(our__mulodi4((int64_t)a, (int64_t)b, &ours), narrow);
	SAME(ours, theirs);
	SAME(our__popcountdi2((int64_t)a), __builtin_popcountll((uint64_t)a));
	SAME(our__popcountti2((s128)a), __builtin_popcountll((uint64_t)a) + __builtin_popcountll((uint64_t)(a >> 64)));
	SAME(our__paritydi2((int64_t)a), __builtin_parityll((uint64_t)a));
	SAME(our__ffsdi2((int64_t)a), __builtin_ffsll((int64_t)a));
	for (int bit = 0; bit < 128; bit++) {
		SAME(our__clzti2((s128)((u128)1 << bit | (((u128)1 << bit) - 1) & a)), 127 - bit);
		SAME(our__ctzti2((s128)((u128)1 << bit | a << bit)), bit);
	}
	SAME(our__ffsti2(0), 0);
}

static void conversions(void)
{
	static const int directions[] = { FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO };
	volatile u128 a = wide();
	fesetround(FE_TONEAREST);
	SAME(our__floattisf((s128)a), (float)(s128)a);
	SAME(our__floattidf((s128)a), (double)(s128)a);
	SAME(our__floattixf((s128)a), (long double)(s128)a);
	SAME(our__floatuntisf(a), (float)a);
	SAME(our__floatuntidf(a), (double)a);
	SAME(our__floatuntixf(a), (long double)a);
	/* Other directions, against 64-bit conversions, which the hardware does. */
	for (int i = 0; i < 4; i++) {
		fesetround(directions[i]);
		volatile int64_t narrow = (int64_t)a;
		SAME(our__floattidf(narrow), (double)narrow);
		SAME(our__floattisf(narrow), (float)narrow);
		SAME(our__floattidf((s128)narrow << 60), (double)narrow * 0x1p60);
	}
	fesetround(FE_TONEAREST);
	double number = ldexp((double)(int64_t)word(), (int)(word() % 128) - 64);
	if (fabs(number) < 0x1p127) {
		SAME(our__fixdfti(number), (s128)number);
		SAME(our__fixsfti((float)number), (s128)(float)number);
		SAME(our__fixxfti((long double)number + 0.25L), (s128)((long double)number + 0.25L));
	}
	if (number >= 0 && number < 0x1p127) {
		SAME(our__fixunsdfti(number), (u128)number);
		SAME(our__fixunssfti((float)number), (u128)(float)number);
		SAME(our__fixunsxfti((long double)number), (u128)(long double)number);
	}
}

/* Equal, or both not a number, part by part. */
static int same_part(long double a, long double b)
{
	return a == b || (isnan(a) && isnan(b));
}

static double part(void)
{
	static const double special[] = { 0, -0.0, 1, -1, INFINITY, -INFINITY, NAN, 1e300, 1e-300, 5e-324 };
	return word() % 3 ? (double)(int64_t)word() * 0x1p-60 : special[word() % 10];
}

static int subnormal(double x)
{
	return fpclassify(x) == FP_SUBNORMAL;
}

static void complex_numbers(void)
{
	double a = part(), b = part(), c = part(), d = part();
	/* volatile: not folded by the compiler. */
	volatile double _Complex x = CMPLX(a, b), y = CMPLX(c, d);
	double _Complex product = our__muldc3(a, b, c, d), expected = x * y;
	SAME(same_part(creal(product), creal(expected)) && same_part(cimag(product), cimag(expected)), 1);
	double _Complex quotient = our__divdc3(a, b, c, d);
	expected = x / y;
	if (subnormal(a) || subnormal(b) || subnormal(c) || subnormal(d)) {
		/* Here each library has its own way of losing bits. */
	} else if (isfinite(a) && isfinite(b) && isfinite(c) && isfinite(d)) {
		/* Libraries differ in the last bits; the x87's range and precision leave no room for doubt. */
		long double norm = (long double)c * c + (long double)d * d;
		long double real = ((long double)a * c + (long double)b * d) / norm;
		long double imaginary = ((long double)b * c - (long double)a * d) / norm;
		long double size = hypotl(real, imaginary);
		long double off = hypotl(creal(quotient) - real, cimag(quotient) - imaginary);
		if (norm > 0 && size > 1e-290L && size < 1e290L) SAME(off <= 1e-12L * size, 1);
	} else {
		SAME(isnan(creal(quotient)) && isnan(cimag(quotient)), isnan(creal(expected)) && isnan(cimag(expected)));
		SAME(isinf(creal(quotient)) || isinf(cimag(quotient)), isinf(creal(expected)) || isinf(cimag(expected)));
	}
	float _Complex narrow = our__mulsc3(1, 2, 3, -1);
	long double _Complex extended = our__mulxc3(1, 2, 3, -1);
	SAME(crealf(narrow) == 5 && cimagf(narrow) == 5 && creall(extended) == 5 && cimagl(extended) == 5, 1);
	int exponent = (int)(word() % 40) - 20;
	SAME(fabs(our__powidf2(1.25, exponent) - pow(1.25, exponent)) < 1e-10, 1);
}

int main(void)
{
	for (int i = 0; i < 40000; i++) {
		integers();
		conversions();
		complex_numbers();
	}
	return wrong != 0;
}
