/* Fibonacci by recursion: nothing but calls and returns. */
#include "../bench.h"

static __attribute__((noinline)) int fib(int n)
{
	return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

int main(int argc, char **argv)
{
	return finish((uint64_t)fib(work(argc, argv)));
}
