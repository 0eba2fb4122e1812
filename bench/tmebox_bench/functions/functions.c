/* What `tmebox bench calls` calls, in a sandbox and in every other way. */
#include <stdint.h>

#include "functions.h"

unsigned char buffer[1 << 20];

void nothing(void)
{
}

int add(int a, int b)
{
	return a + b;
}

long length(const char *text)
{
	long n = 0;
	while (text[n]) n++;
	return n;
}

int touch(const unsigned char *data, long size)
{
	return data[0] + data[size - 1];
}

long ask(long times)
{
	long sum = 0;
	for (long i = 0; i < times; i++) sum += answer(i);
	return sum;
}

/* Beyond every sandbox's memory, WebAssembly's included. Never called where nothing contains it. */
int fault(void)
{
	return *(volatile int *)(uintptr_t)0xfffffff0u;
}

unsigned spin(long steps)
{
	unsigned x = 1;
	for (long i = 0; i < steps; i++) x ^= x << 13, x ^= x >> 17, x ^= x << 5;
	return x;
}

unsigned char *buffer_start(void)
{
	return buffer;
}
