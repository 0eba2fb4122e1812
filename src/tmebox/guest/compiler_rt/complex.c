/* Complex multiplication and division with C's (Annex G) treatment of infinities. */
#include "quad.h"

typedef _Complex float quad_complex __attribute__((mode(TC)));

#define INFINITE(x) __builtin_isinf(x)
#define IS_NAN(x) __builtin_isnan(x)

#define BOXED(F, x) __builtin_copysign##F(INFINITE(x) ? 1 : 0, x)
#define SIGNED_ZERO_IF_NAN(F, x) \
	if (IS_NAN(x)) x = __builtin_copysign##F(0, x)

#define MULTIPLY(NAME, TYPE, COMPLEX, F)                                                                                        \
	COMPLEX NAME(TYPE a, TYPE b, TYPE c, TYPE d)                                                             \
	{                                                                                                              \
		TYPE ac = a * c, bd = b * d, ad = a * d, bc = b * c;                                                   \
		TYPE x = ac - bd, y = ad + bc;                                                                         \
		if (IS_NAN(x) && IS_NAN(y)) {                                                                          \
			int recompute = 0;                                                                             \
			if (INFINITE(a) || INFINITE(b)) {                                                              \
				a = BOXED(F, a);                                                                       \
				b = BOXED(F, b);                                                                       \
				SIGNED_ZERO_IF_NAN(F, c);                                                              \
				SIGNED_ZERO_IF_NAN(F, d);                                                              \
				recompute = 1;                                                                         \
			}                                                                                              \
			if (INFINITE(c) || INFINITE(d)) {                                                              \
				c = BOXED(F, c);                                                                       \
				d = BOXED(F, d);                                                                       \
				SIGNED_ZERO_IF_NAN(F, a);                                                              \
				SIGNED_ZERO_IF_NAN(F, b);                                                              \
				recompute = 1;                                                                         \
			}                                                                                              \
			if (!recompute && (INFINITE(ac) || INFINITE(bd) || INFINITE(ad) || INFINITE(bc))) {            \
				SIGNED_ZERO_IF_NAN(F, a);                                                              \
				SIGNED_ZERO_IF_NAN(F, b);                                                              \
				SIGNED_ZERO_IF_NAN(F, c);                                                              \
				SIGNED_ZERO_IF_NAN(F, d);                                                              \
				recompute = 1;                                                                         \
			}                                                                                              \
			if (recompute) {                                                                               \
				x = (TYPE)__builtin_inf() * (a * c - b * d);                                           \
				y = (TYPE)__builtin_inf() * (a * d + b * c);                                           \
			}                                                                                              \
		}                                                                                                      \
		COMPLEX result;                                                                                  \
		__real__ result = x;                                                                                   \
		__imag__ result = y;                                                                                   \
		return result;                                                                                         \
	}

MULTIPLY(__mulsc3, float, _Complex float, f)
MULTIPLY(__muldc3, double, _Complex double, )
MULTIPLY(__mulxc3, long double, _Complex long double, l)
MULTIPLY(__multc3, quad, quad_complex, f128)

static quad quad_logb(quad value)
{
	int exponent;
	u128 magnitude = bits_of(value) & ~QUAD_SIGN;
	if (!magnitude) return -__builtin_inf();
	if (magnitude >= QUAD_INFINITY) return quad_of(magnitude);
	unpack(magnitude, &exponent);
	return exponent - QUAD_BIAS;
}

/* Powers of two within the exponents that there are; two steps reach all of them. */
static quad quad_scalbn(quad value, int power)
{
	for (; power; ) {
		int step = power > QUAD_BIAS ? QUAD_BIAS : power < 1 - QUAD_BIAS ? 1 - QUAD_BIAS : power;
		value *= quad_of((u128)(QUAD_BIAS + step) << QUAD_FRACTION);
		power -= step;
	}
	return value;
}

static quad quad_max(quad a, quad b)
{
	return IS_NAN(a) || a < b ? b : a;
}

/* The divisor is scaled by its exponent, so that its squared magnitude neither overflows nor vanishes. */
#define DIVIDE(NAME, TYPE, COMPLEX, F, LOGB, SCALBN, FMAX)                                                                                          \
	COMPLEX NAME(TYPE a, TYPE b, TYPE c, TYPE d)                                                             \
	{                                                                                                              \
		int scale = 0;                                                                                         \
		TYPE exponent = LOGB(                                                                     \
			FMAX(__builtin_fabs##F(c), __builtin_fabs##F(d)));                                \
		if (__builtin_isfinite(exponent)) {                                                                    \
			scale = (int)exponent;                                                                         \
			c = SCALBN(c, -scale);                                                            \
			d = SCALBN(d, -scale);                                                            \
		}                                                                                                      \
		TYPE divisor = c * c + d * d;                                                                          \
		TYPE x = SCALBN((a * c + b * d) / divisor, -scale);                                       \
		TYPE y = SCALBN((b * c - a * d) / divisor, -scale);                                       \
		if (IS_NAN(x) && IS_NAN(y)) {                                                                          \
			if (divisor == 0 && (!IS_NAN(a) || !IS_NAN(b))) {                                              \
				x = __builtin_copysign##F((TYPE)__builtin_inf(), c) * a;                               \
				y = __builtin_copysign##F((TYPE)__builtin_inf(), c) * b;                               \
			} else if ((INFINITE(a) || INFINITE(b)) && __builtin_isfinite(c) && __builtin_isfinite(d)) {   \
				a = BOXED(F, a);                                                                       \
				b = BOXED(F, b);                                                                       \
				x = (TYPE)__builtin_inf() * (a * c + b * d);                                           \
				y = (TYPE)__builtin_inf() * (b * c - a * d);                                           \
			} else if (INFINITE(exponent) && exponent > 0 && __builtin_isfinite(a) &&                      \
				   __builtin_isfinite(b)) {                                                            \
				c = BOXED(F, c);                                                                       \
				d = BOXED(F, d);                                                                       \
				x = 0 * (a * c + b * d);                                                               \
				y = 0 * (b * c - a * d);                                                               \
			}                                                                                              \
		}                                                                                                      \
		COMPLEX result;                                                                                  \
		__real__ result = x;                                                                                   \
		__imag__ result = y;                                                                                   \
		return result;                                                                                         \
	}

DIVIDE(__divsc3, float, _Complex float, f, __builtin_logbf, __builtin_scalbnf, __builtin_fmaxf)
DIVIDE(__divdc3, double, _Complex double, , __builtin_logb, __builtin_scalbn, __builtin_fmax)
DIVIDE(__divxc3, long double, _Complex long double, l, __builtin_logbl, __builtin_scalbnl, __builtin_fmaxl)
DIVIDE(__divtc3, quad, quad_complex, f128, quad_logb, quad_scalbn, quad_max)
