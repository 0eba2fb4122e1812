/* roundeven, of C23: to the nearest integer, halves to the even one, whatever the current direction is. musl has none. */
#include <math.h>

#define ROUND(NAME, TYPE, F)                                                                         \
	TYPE NAME(TYPE x);                                                                           \
	TYPE NAME(TYPE x)                                                                            \
	{                                                                                            \
		TYPE away = round##F(x);                                                             \
		return fabs##F(x - trunc##F(x)) == (TYPE)0.5 ? 2 * round##F(x / 2) : away;             \
	}

ROUND(roundevenf, float, f)
ROUND(roundeven, double, )
ROUND(roundevenl, long double, l)
