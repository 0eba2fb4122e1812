/* __builtin_powi: a floating-point number to an integer power, by squaring. */
#define POWI(NAME, TYPE)                                                            \
	TYPE NAME(TYPE base, int exponent)                                          \
	{                                                                           \
		unsigned left = exponent < 0 ? -(unsigned)exponent : (unsigned)exponent; \
		TYPE result = 1;                                                    \
		for (; left; left >>= 1, base *= base)                              \
			if (left & 1) result *= base;                               \
		return exponent < 0 ? 1 / result : result;                          \
	}

POWI(__powisf2, float)
POWI(__powidf2, double)
POWI(__powixf2, long double)
