/* Objects that need more alignment than frames have, whose addresses another file gets; beside setjmp and threads. */
#include <pthread.h>
#include <setjmp.h>
#include <stdint.h>
#define NOINLINE __attribute__((noinline))
#define CHECK(x) \
    if (!(x)) return __LINE__
typedef float v8 __attribute__((vector_size(32)));
typedef double w8 __attribute__((vector_size(64)));
struct aligned {
    _Alignas(64) int x[20];
};
struct vectors {
    v8 a[2];
    int b;
};
struct plain {
    long x[9];
};
int misaligned(const void *p, int alignment);
int by_value(int n, struct aligned one, struct vectors two);
int variable(int count, ...);

NOINLINE static int objects(int n) {
    _Alignas(32) int a[8] = {n};
    _Alignas(64) int b[16] = {n};
    _Alignas(4096) int c[3] = {n};
    v8 d[3] = {{n}, {n}, {n}};
    w8 e = {n};
    return misaligned(a, 32) + misaligned(b, 64) + misaligned(c, 4096) + misaligned(d, 32) + misaligned(&e, 64) +
           (a[0] != n) + (d[2][0] != n) + (e[0] != n);
}
NOINLINE static int deeper(int n) {
    volatile char some[24];
    some[n & 7] = 1;
    return n == 0 ? objects(7) : deeper(n - 1) + some[n & 7] - 1;
}
NOINLINE static int as_arguments(int n) {
    struct aligned one = {{n, 2}};
    struct vectors two = {{{n}, {3}}, 4};
    return by_value(n, one, two);
}
static jmp_buf place;
NOINLINE static void jump(int n) {
    _Alignas(64) int a[16] = {n};
    if (misaligned(a, 64) || n == 0) longjmp(place, a[0] + 1);
    jump(n - 1);
}
NOINLINE static int jumps(v8 *p, int n) {
    v8 kept = p[0] + p[1];
    _Alignas(64) volatile int a[16] = {n};
    for (volatile int i = 0; i < n; i++) {
        int r = setjmp(place);
        if (r == 0) jump(i);
        if (r != 1 || misaligned((void *)a, 64) || a[0] != n) return 1;
    }
    _Alignas(32) int after[8] = {n};
    return misaligned(after, 32) + (kept[0] != p[0][0] + p[1][0]);
}
static void *thread(void *number) { return (void *)(long)(objects((int)(long)number) + deeper(5)); }

/* The line of what is wrong, or 0. */
int check(void) {
    for (int n = 0; n < 9; n++) CHECK(deeper(n) == 0);
    CHECK(as_arguments(5) == 0);
    v8 p[2] = {{1}, {2}};
    CHECK(jumps(p, 4) == 0);
    pthread_t threads[3];
    for (long i = 0; i < 3; i++) CHECK(pthread_create(&threads[i], 0, thread, (void *)i) == 0);
    for (int i = 0; i < 3; i++) {
        void *wrong;
        CHECK(pthread_join(threads[i], &wrong) == 0 && wrong == 0);
    }
    struct plain plain = {{1, 2, 3}};
    CHECK(variable(2, plain, 1.5L) == 0);
    return 0;
}
