/* Complex multiplication and division with C's (Annex G) treatment of infinities. */
#define INFINITE(x) __builtin_isinf(x)
#define IS_NAN(x) __builtin_isnan(x)

#define BOXED(F, x) __builtin_copysign##F(INFINITE(x) ? 1 : 0, x)
#define SIGNED_ZERO_IF_NAN(F, x) \
	if (IS_NAN(x)) x = __builtin_copysign##F(0, x)

#define MULTIPLY(NAME, TYPE, F)                                                                                        \
	_Complex TYPE NAME(TYPE a, TYPE b, TYPE c, TYPE d)                                                             \
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
		_Complex TYPE result;                                                                                  \
		__real__ result = x;                                                                                   \
		__imag__ result = y;                                                                                   \
		return result;                                                                                         \
	}

MULTIPLY(__mulsc3, float, f)
MULTIPLY(__muldc3, double, )
MULTIPLY(__mulxc3, long double, l)

/* The divisor is scaled by its exponent, so that its squared magnitude neither overflows nor vanishes. */
#define DIVIDE(NAME, TYPE, F)                                                                                          \
	_Complex TYPE NAME(TYPE a, TYPE b, TYPE c, TYPE d)                                                             \
	{                                                                                                              \
		int scale = 0;                                                                                         \
		TYPE exponent = __builtin_logb##F(                                                                     \
			__builtin_fmax##F(__builtin_fabs##F(c), __builtin_fabs##F(d)));                                \
		if (__builtin_isfinite(exponent)) {                                                                    \
			scale = (int)exponent;                                                                         \
			c = __builtin_scalbn##F(c, -scale);                                                            \
			d = __builtin_scalbn##F(d, -scale);                                                            \
		}                                                                                                      \
		TYPE divisor = c * c + d * d;                                                                          \
		TYPE x = __builtin_scalbn##F((a * c + b * d) / divisor, -scale);                                       \
		TYPE y = __builtin_scalbn##F((b * c - a * d) / divisor, -scale);                                       \
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
		_Complex TYPE result;                                                                                  \
		__real__ result = x;                                                                                   \
		__imag__ result = y;                                                                                   \
		return result;                                                                                         \
	}

DIVIDE(__divsc3, float, f)
DIVIDE(__divdc3, double, )
DIVIDE(__divxc3, long double, l)
