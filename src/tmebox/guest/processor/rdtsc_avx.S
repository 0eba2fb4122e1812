/* For code that uses whole vector registers, which needs AVX anyway. */
#define NAME __tmebox_rdtsc_avx
#define NAMEP __tmebox_rdtscp_avx
#define SIZE 32
#define FRAME 576
#define STORE(N) vmovups %ymm##N, VECTORS + N * SIZE(%rsp)
#define LOAD(N) vmovups VECTORS + N * SIZE(%rsp), %ymm##N
#include "rdtsc.h"
