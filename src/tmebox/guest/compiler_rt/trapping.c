/* Arithmetic that stops at overflow: what gcc calls with -ftrapv. */
#include <stdint.h>

typedef __int128 s128;

#define BINARY(NAME, TYPE, HOW)                                        \
	TYPE NAME(TYPE a, TYPE b)                                      \
	{                                                              \
		TYPE result;                                           \
		if (__builtin_##HOW##_overflow(a, b, &result)) __builtin_trap(); \
		return result;                                         \
	}

#define UNARY(NAME, TYPE, KEEPS)                                       \
	TYPE NAME(TYPE a)                                              \
	{                                                              \
		TYPE result;                                           \
		if (KEEPS) return a;                                   \
		if (__builtin_sub_overflow((TYPE)0, a, &result)) __builtin_trap(); \
		return result;                                         \
	}

BINARY(__addvsi3, int32_t, add)
BINARY(__addvdi3, int64_t, add)
BINARY(__addvti3, s128, add)
BINARY(__subvsi3, int32_t, sub)
BINARY(__subvdi3, int64_t, sub)
BINARY(__subvti3, s128, sub)
BINARY(__mulvsi3, int32_t, mul)
BINARY(__mulvdi3, int64_t, mul)
BINARY(__mulvti3, s128, mul)
UNARY(__negvsi2, int32_t, 0)
UNARY(__negvdi2, int64_t, 0)
UNARY(__negvti2, s128, 0)
UNARY(__absvsi2, int32_t, a >= 0)
UNARY(__absvdi2, int64_t, a >= 0)
UNARY(__absvti2, s128, a >= 0)
