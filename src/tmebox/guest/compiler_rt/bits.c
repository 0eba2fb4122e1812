/* Bit counting and byte swapping, for compilers that call functions for them. Plain C: clang would turn a builtin
   that the hardware lacks into a call to the function being defined. */
#include <stdint.h>

typedef __int128 s128;
typedef unsigned __int128 u128;

/* Sums of 2, 4 and 8 neighbouring bits side by side; the multiplication adds up the bytes. */
static int ones(uint64_t x)
{
	x -= x >> 1 & 0x5555555555555555;
	x = (x & 0x3333333333333333) + (x >> 2 & 0x3333333333333333);
	x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0f;
	return (int)(x * 0x0101010101010101 >> 56);
}

int __popcountsi2(int32_t x)
{
	return ones((uint32_t)x);
}

int __popcountdi2(int64_t x)
{
	return ones((uint64_t)x);
}

int __popcountti2(s128 x)
{
	return ones((uint64_t)x) + ones((uint64_t)((u128)x >> 64));
}

int __paritysi2(int32_t x)
{
	return ones((uint32_t)x) & 1;
}

int __paritydi2(int64_t x)
{
	return ones((uint64_t)x) & 1;
}

int __parityti2(s128 x)
{
	return __popcountti2(x) & 1;
}

/* Leading and trailing zeros are undefined for 0, "find first set" is not. */
int __clzsi2(int32_t x)
{
	return __builtin_clz((uint32_t)x);
}

int __clzdi2(int64_t x)
{
	return __builtin_clzll((uint64_t)x);
}

int __clzti2(s128 x)
{
	uint64_t high = (uint64_t)((u128)x >> 64);
	return high ? __builtin_clzll(high) : 64 + __builtin_clzll((uint64_t)x);
}

int __ctzsi2(int32_t x)
{
	return __builtin_ctz((uint32_t)x);
}

int __ctzdi2(int64_t x)
{
	return __builtin_ctzll((uint64_t)x);
}

int __ctzti2(s128 x)
{
	uint64_t low = (uint64_t)x;
	return low ? __builtin_ctzll(low) : 64 + __builtin_ctzll((uint64_t)((u128)x >> 64));
}

int __ffssi2(int32_t x)
{
	return x ? __ctzsi2(x) + 1 : 0;
}

int __ffsdi2(int64_t x)
{
	return x ? __ctzdi2(x) + 1 : 0;
}

int __ffsti2(s128 x)
{
	return x ? __ctzti2(x) + 1 : 0;
}

uint32_t __bswapsi2(uint32_t x)
{
	return __builtin_bswap32(x);
}

uint64_t __bswapdi2(uint64_t x)
{
	return __builtin_bswap64(x);
}
