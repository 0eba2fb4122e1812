"""What the tests' pools run."""

POOL_C = r"""
#include <stdlib.h>
static int uses;
static int constructed;
__attribute__((constructor)) static void construct(void) { constructed++; }
int uses_so_far(void) { return uses++; }
int constructions(void) { return constructed; }
int square(int v) { return v * v; }
int add(int a, int b) { return a + b; }
int crash_if_odd(int v) { return v & 1 ? *(volatile int *)16 : v; }
long work(long rounds)
{
    unsigned long x = 1;
    for (long i = 0; i < rounds; i++) x = x * 6364136223846793005ul + 1442695040888963407ul;
    return (long)(x >> 33);
}
void spin(void) { for (volatile int i = 0;; i++); }
static char *page;
char *keep(void) { return page = malloc(4096); }
"""
