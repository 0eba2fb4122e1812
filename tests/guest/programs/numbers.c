/* Floating point in and out, rounding, exceptions, the x87, 128-bit integers. */
#include <complex.h>
#include <fenv.h>
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "check.h"

static int prints(const char *expected, const char *format, ...)
{
	char text[400];
	__builtin_va_list arguments;
	__builtin_va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	__builtin_va_end(arguments);
	if (strcmp(text, expected)) fprintf(stderr, "%s: got %s, expected %s\n", format, text, expected);
	return !strcmp(text, expected);
}

static void printing(void)
{
	CHECK(prints("3.14159 1e+100 -0 inf nan", "%g %g %g %g %g", M_PI, 1e100, -0.0, INFINITY, NAN));
	CHECK(prints("0.1000000000000000055511151231257827", "%.34f", 0.1));
	CHECK(prints("0x1.921fb54442d18p+1", "%a", M_PI));
	CHECK(prints("2.7182818284590452354", "%.20Lg", expl(1.0L)));
	CHECK(prints("   +42|ff|0777|00042", "%+6d|%x|%#o|%05d", 42, 255, 0777, 42));
	CHECK(strtod("0x1.8p3", NULL) == 12 && strtod("1e-320", NULL) > 0 && atof("123456789.125") == 123456789.125);
	CHECK(strtold("0.1", NULL) == 0.1L && strtof("16777217", NULL) == 16777216);
	for (int i = 0; i < 20000; i++) {
		union {
			uint64_t bits;
			double value;
		} number = { .bits = next_random() };
		char text[64];
		if (!isfinite(number.value)) continue;
		snprintf(text, sizeof text, "%.17g", number.value);
		CHECK(strtod(text, NULL) == number.value);
	}
}

static void rounding(void)
{
	volatile double third = 3, one = 1, zero = 0;
	CHECK(fegetround() == FE_TONEAREST && lrint(2.5) == 2);
	double nearest = one / third;
	CHECK(!fesetround(FE_UPWARD) && one / third > nearest && lrint(2.25) == 3 && fegetround() == FE_UPWARD);
	CHECK(!fesetround(FE_DOWNWARD) && one / third == nearest && lrintl(-2.25L) == -3);
	fenv_t saved;
	CHECK(!fegetenv(&saved) && !fesetenv(FE_DFL_ENV) && fegetround() == FE_TONEAREST);
	CHECK(!fesetenv(&saved) && fegetround() == FE_DOWNWARD && !fesetround(FE_TONEAREST));
	feclearexcept(FE_ALL_EXCEPT);
	volatile double infinite = one / zero;
	CHECK(isinf(infinite) && fetestexcept(FE_ALL_EXCEPT) == FE_DIVBYZERO);
	volatile long double large = LDBL_MAX;
	large *= 2;
	CHECK(fetestexcept(FE_OVERFLOW) && !feclearexcept(FE_DIVBYZERO));
	CHECK(fetestexcept(FE_ALL_EXCEPT) == (FE_OVERFLOW | FE_INEXACT));
	feraiseexcept(FE_INVALID);
	CHECK(!feholdexcept(&saved) && !fetestexcept(FE_ALL_EXCEPT));
	CHECK(!feupdateenv(&saved) && fetestexcept(FE_INVALID | FE_OVERFLOW) == (FE_INVALID | FE_OVERFLOW));
}

static void functions(void)
{
	CHECK(sqrt(2) * sqrt(2) - 2 < 1e-15 && fma(2, 3, 4) == 10 && cbrt(27) == 3 && hypot(3, 4) == 5);
	CHECK(fabs(sin(1) * sin(1) + cos(1) * cos(1) - 1) < 1e-15 && fabs(tgamma(5) - 24) < 1e-12);
	CHECK(floorl(-2.5L) == -3 && ceill(2.5L) == 3 && truncl(-2.5L) == -2 && fmodl(7.5L, 2) == 1.5L);
	CHECK(fabsl(logl(expl(2.0L)) - 2) < 1e-18L && fabsl(atanl(1.0L) * 4 - 3.14159265358979323846L) < 1e-18L);
	CHECK(ldexp(0.75, 4) == 12 && nearbyint(-1.5) == -2 && remainder(5, 3) == -1 && llroundl(2.5L) == 3);
	double complex product = (1 + 2 * I) * (3 - I), quotient = product / (3 - I);
	CHECK(creal(product) == 5 && cimag(product) == 5 && cabs(quotient - (1 + 2 * I)) < 1e-15);
	CHECK(cabs(cexp(I * M_PI) + 1) < 1e-15);
}

static void integers(void)
{
	volatile __int128 large = (__int128)1 << 100;
	volatile unsigned __int128 divisor = ((unsigned __int128)1 << 70) + 12345;
	CHECK((long)(large / (__int128)1000000007 >> 30) == (long)((large / 1000000007) >> 30));
	CHECK(large / divisor * divisor + large % divisor == (unsigned __int128)large);
	CHECK(-large / 3 * 3 + -large % 3 == -large);
	CHECK((double)large == 0x1p100 && (__int128)0x1p100 == large && (float)-large == -0x1p100f);
	CHECK((unsigned __int128)(long double)large == (unsigned __int128)large);
	CHECK(__builtin_powi(1.5, 3) == 3.375 && __builtin_popcountll(next_random() | 1) > 0);
}

int main(void)
{
	printing();
	rounding();
	functions();
	integers();
	FINISH();
}
