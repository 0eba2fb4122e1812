/* For code that uses no more than the lower halves of vector registers. */
#define NAME __tmebox_rdtsc
#define NAMEP __tmebox_rdtscp
#define SIZE 16
#define FRAME 320
#define STORE(N) movups %xmm##N, VECTORS + N * SIZE(%rsp)
#define LOAD(N) movups VECTORS + N * SIZE(%rsp), %xmm##N
#include "rdtsc.h"
