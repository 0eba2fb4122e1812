/* Frames of every kind that compilers make, each of which has to be one of constant size, with a twin. */
#include <alloca.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#define NOINLINE __attribute__((noinline))
#define CHECK(x) \
    if (!(x)) return __LINE__

/* variable arrays */
NOINLINE int vla(int n) {
    int a[n];
    for (int i = 0; i < n; i++) a[i] = i * 3;
    int s = 0;
    for (int i = 0; i < n; i++) s += a[i];
    return s;
}
NOINLINE int allocas(int n) {
    int s = 0;
    for (int i = 1; i < n; i++) {
        char* p = alloca(i);
        memset(p, i, i);
        s += p[i - 1];
    }
    return s;
}
NOINLINE int vla2(int n, int m) {
    int a[n][m];
    for (int i = 0; i < n; i++)
        for (int j = 0; j < m; j++) a[i][j] = i ^ j;
    int s = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < m; j++) s += a[i][j];
    return s;
}
/* large frame */
NOINLINE int large(int n) {
    volatile char big[3 << 20];
    big[n] = 3;
    big[sizeof big - 1] = 4;
    return big[n] + big[sizeof big - 1];
}
/* over-aligned */
NOINLINE uintptr_t aligned64(int n) {
    volatile char a[64] __attribute__((aligned(64)));
    a[n] = 1;
    return (uintptr_t)a & 63;
}
NOINLINE uintptr_t aligned4096(int n) {
    volatile char a[64] __attribute__((aligned(4096)));
    a[n] = 1;
    return (uintptr_t)a & 4095;
}
struct wide {
    _Alignas(128) int x[32];
};
NOINLINE int by_value_aligned(struct wide w) { return ((uintptr_t)&w & 127) + w.x[31]; }
NOINLINE int aligned_args(int n) {
    struct wide w;
    for (int i = 0; i < 32; i++) w.x[i] = n + i;
    return by_value_aligned(w);
}
/* struct by value */
struct big {
    long x[20];
};
NOINLINE long by_value(struct big b, int i) { return b.x[i] + b.x[19]; }
NOINLINE struct big make(int n) {
    struct big b;
    for (int i = 0; i < 20; i++) b.x[i] = n * i;
    return b;
}
/* variadic with doubles */
NOINLINE double sum(int n, ...) {
    va_list l;
    va_start(l, n);
    double s = 0;
    for (int i = 0; i < n; i++) {
        s += va_arg(l, double);
        s += va_arg(l, int);
    }
    va_end(l);
    return s;
}
NOINLINE double sum_struct(int n, ...) {
    va_list l, m;
    va_start(l, n);
    va_copy(m, l);
    double s = 0;
    for (int i = 0; i < n; i++) {
        struct big b = va_arg(m, struct big);
        s += b.x[1];
        long double d = va_arg(m, long double);
        s += d;
    }
    va_end(l);
    va_end(m);
    return s;
}
/* many arguments */
NOINLINE long many(long a, long b, long c, long d, long e, long f, long g, long h, double i, double j, double k,
                   double l, double m, double n, double o, double p, double q, float r) {
    return a + b + c + d + e + f + g * 2 + h * 3 + i + j + k + l + m + n + o + p + q * 5 + r * 7;
}
/* frame address, return address */
NOINLINE void* fa(void) { return __builtin_frame_address(0); }
NOINLINE void* ra(void) { return __builtin_return_address(0); }
NOINLINE int fb(int n) {
    void** f = __builtin_frame_address(0);
    volatile int x = n;
    return f != 0 && x == n;
}
/* setjmp in loops */
static jmp_buf env;
NOINLINE void jump(int n) {
    if (n)
        jump(n - 1);
    else
        longjmp(env, 7);
}
NOINLINE int setjmps(int n) {
    volatile int s = 0;
    for (volatile int i = 0; i < n; i++) {
        int r = setjmp(env);
        if (!r) jump(i % 5);
        s += r;
    }
    return s;
}
NOINLINE int setjmp_vla(int n) {
    volatile int s = 0;
    int a[n];
    a[0] = 5;
    for (volatile int i = 0; i < n; i++) {
        int r = setjmp(env);
        if (!r) jump(i % 5);
        s += r + a[0];
    }
    return s;
}
/* computed goto */
NOINLINE int interp(const unsigned char* p, int x) {
    static void* const ops[] = {&&add, &&sub, &&mul, &&end};
    int st[16];
    int sp = 0;
    memset(st, 0, sizeof st);
    goto* ops[*p++];
add:
    x += 3;
    st[sp++ & 15] = x;
    goto* ops[*p++];
sub:
    x -= 2;
    st[sp++ & 15] = x;
    goto* ops[*p++];
mul:
    x *= 2;
    st[sp++ & 15] = x;
    goto* ops[*p++];
end:
    {
        int s = x;
        for (int i = 0; i < 16; i++) s += st[i];
        return s;
    }
}
NOINLINE int interp_vla(const unsigned char* p, int x, int n) {
    static void* const ops[] = {&&add, &&sub, &&mul, &&end};
    int st[n];
    int sp = 0;
    memset(st, 0, sizeof st);
    goto* ops[*p++];
add:
    x += 3;
    st[sp++ % n] = x;
    goto* ops[*p++];
sub:
    x -= 2;
    st[sp++ % n] = x;
    goto* ops[*p++];
mul:
    x *= 2;
    st[sp++ % n] = x;
    goto* ops[*p++];
end:
    {
        int s = x;
        for (int i = 0; i < n; i++) s += st[i];
        return s;
    }
}
NOINLINE int interp_big(const unsigned char* p, int x) {
    static void* const ops[] = {&&add, &&sub, &&mul, &&end};
    volatile int st[5000];
    int sp = 0;
    for (int i = 0; i < 5000; i++) st[i] = 0;
    goto* ops[*p++];
add:
    x += 3;
    st[sp++ & 15] = x;
    goto* ops[*p++];
sub:
    x -= 2;
    st[sp++ & 15] = x;
    goto* ops[*p++];
mul:
    x *= 2;
    st[sp++ & 15] = x;
    goto* ops[*p++];
end:
    {
        int s = x;
        for (int i = 0; i < 16; i++) s += st[i];
        return s;
    }
}
NOINLINE int interp_frame(const unsigned char* p, int x) {
    static void* const ops[] = {&&add, &&sub, &&mul, &&end};
    void* volatile f = __builtin_frame_address(0);
    (void)f;
    goto* ops[*p++];
add:
    x += 3;
    goto* ops[*p++];
sub:
    x -= 2;
    goto* ops[*p++];
mul:
    x *= 2;
    goto* ops[*p++];
end:
    return x;
}
/* switches */
NOINLINE int sw(int n, int* a) {
    volatile int t[8];
    for (int i = 0; i < 8; i++) t[i] = i;
    switch (n) {
        case 0:
            return a[0];
        case 1:
            a[1]++;
            break;
        case 2:
            a[2] = t[3];
            break;
        case 3:
            return sw(2, a) + 1;
        case 4:
            a[3] += t[2];
            break;
        case 5:
            return 99;
        case 6:
            a[0] *= 2;
            break;
        default:
            return -1;
    }
    return a[n & 3];
}
/* inline assembly */
NOINLINE long pushes(long x) {
    long r;
    __asm__ volatile("pushq %1\n\taddq $1, (%%rsp)\n\tpopq %0" : "=r"(r) : "r"(x) : "memory", "cc");
    return r;
}

NOINLINE long asm_mem(long x) {
    long a = x, b = 2;
    __asm__ volatile("addq %1, %0" : "+m"(a) : "r"(b) : "cc");
    __asm__ volatile("movq %1, %0" : "=r"(b) : "m"(a));
    return b;
}
NOINLINE long asm_many(long x) {
    long a = x, b = x + 1, c = x + 2, d = x + 3;
    __asm__ volatile("incq %0; incq %1; incq %2; incq %3" : "+m"(a), "+m"(b), "+m"(c), "+m"(d));
    return a + b + c + d;
}
NOINLINE int cpuid_rbx(int x) {
    int a = 0, b, c = 0, d;
    __asm__ volatile("xchgq %%rbx, %q1; xorl %%ebx, %%ebx; xchgq %%rbx, %q1" : "+a"(a), "=&r"(b), "+c"(c), "=d"(d));
    return x + b * 0;
}
/* tail calls */
NOINLINE long tail2(long a, long b, long c, long d, long e, long f, long g);
NOINLINE long tail1(long a, long b, long c, long d, long e, long f, long g) {
    if (a == 0) return g + b;
    return tail2(a - 1, b + 1, c, d, e, f, g + 2);
}
NOINLINE long tail2(long a, long b, long c, long d, long e, long f, long g) {
    if (a == 0) return g + b;
    __attribute__((musttail)) return tail1(a - 1, b + 1, c, d, e, f, g + 1);
}
typedef int (*fn)(int, void*);
NOINLINE int leaf(int a, void* b) { return a + (b != 0); }
NOINLINE int tail_ind(int a, fn* f) { return f[a & 1](a + 1, f); }
/* spills: many live values of all kinds over calls */
NOINLINE double spills(double* v, long* w) {
    double a = v[0], b = v[1], c = v[2], d = v[3], e = v[4];
    long p = w[0], q = w[1], r = w[2], s = w[3], t = w[4], u = w[5], x = w[6], y = w[7], z = w[8];
    leaf(1, v);
    asm volatile("" ::: "memory");
    double m = a * b + c * d + e;
    leaf(2, w);
    return m + p + q * r + s * t + u * x + y * z + a + b;
}
/* long double, int128 */
NOINLINE long double ld(long double a, long double b, int n) {
    long double t[4] = {a, b, a * b, a - b};
    return t[n & 3] + leaf(n, 0);
}
NOINLINE unsigned __int128 mul128(unsigned __int128 a, unsigned __int128 b) { return a * b + leaf(1, 0); }
/* addresses of arguments on the stack */
NOINLINE long addr_of(long a, long b, long c, long d, long e, long f, long g, long h) {
    long *p = &g, *q = &h;
    leaf(1, p);
    leaf(2, q);
    asm volatile("" : "+r"(p), "+r"(q));
    return *p * 10 + *q;
}
/* recursion with pointers to callers' locals */
NOINLINE int rec(int n, int* up) {
    int here = n;
    if (n == 0) {
        *up = 42;
        return 0;
    }
    int r = rec(n - 1, &here);
    return r + (here == 42 ? 100 : here) + (up ? 0 : 1);
}
/* qsort with callbacks */
static int cmp(const void* a, const void* b) { return *(const int*)a - *(const int*)b; }
/* vectors */
typedef float v8 __attribute__((vector_size(32)));
NOINLINE v8 vadd(v8 a, v8 b) {
    volatile v8 t = a;
    leaf(1, 0);
    return t + b;
}
typedef float v16 __attribute__((vector_size(64)));
NOINLINE void vspill(v16* o, v16* a) {
    v16 x = a[0], y = a[1], z = a[2];
    leaf(1, a);
    asm volatile("" ::
                     : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
                       "xmm12", "xmm13", "xmm14", "xmm15", "memory");
    o[0] = x + y * z;
}
NOINLINE v16 varg(v16 a, v16 b, v16 c, v16 d, v16 e, v16 f, v16 g, v16 h, v16 i, v16 j) {
    return a + b + c + d + e + f + g + h + i * j;
}

/* The line of what is wrong, or 0. */
int check(void) {
    CHECK(vla(10) == 135);
    CHECK(allocas(20) == 190);
    CHECK(vla2(5, 7) == vla2(5, 7));
    CHECK(large(100) == 7);
    CHECK(aligned64(3) == 0);
    CHECK(aligned4096(3) == 0);
    CHECK(aligned_args(5) == 36);
    CHECK(by_value(make(3), 2) == 6 + 57);
    CHECK(sum(3, 1.5, 2, 2.5, 3, 3.5, 4) == 16.5);
    CHECK(sum_struct(2, make(2), 1.5L, make(3), 2.5L) == 9);
    CHECK(many(1, 2, 3, 4, 5, 6, 7, 8, 1, 1, 1, 1, 1, 1, 1, 1, 2, 3) == 21 + 14 + 24 + 8 + 10 + 21);
    CHECK(fa() != 0);
    CHECK(fb(3));
    (void)ra();
    CHECK(setjmps(10) == 70);
    CHECK(setjmp_vla(10) == 120);
    CHECK(interp((const unsigned char[]){0, 1, 2, 0, 3}, 5) ==
          interp_vla((const unsigned char[]){0, 1, 2, 0, 3}, 5, 16));
    CHECK(interp((const unsigned char[]){0, 1, 2, 0, 3}, 5) == interp_big((const unsigned char[]){0, 1, 2, 0, 3}, 5));
    CHECK(interp_frame((const unsigned char[]){0, 1, 2, 0, 3}, 5) == 15);
    int a[4] = {1, 2, 3, 4};
    CHECK(sw(3, a) == 4);
    CHECK(sw(4, a) == 1);
    CHECK(pushes(4) == 5);
    CHECK(asm_mem(4) == 6);
    CHECK(asm_many(1) == 14);
    CHECK(cpuid_rbx(2) == 2);
    CHECK(tail1(5, 0, 0, 0, 0, 0, 0) == tail1(5, 0, 0, 0, 0, 0, 0) && tail1(4, 1, 0, 0, 0, 0, 3) == 14);
    CHECK(tail_ind(1, (fn[]){leaf, leaf}) == 3);
    CHECK(spills((double[]){1, 2, 3, 4, 5}, (long[]){1, 2, 3, 4, 5, 6, 7, 8, 9}) == 163);
    CHECK(ld(2, 3, 2) == 8);
    CHECK(mul128((unsigned __int128)1 << 65, 3) >> 64 == 6);
    CHECK(addr_of(1, 2, 3, 4, 5, 6, 7, 8) == 78);
    CHECK(rec(3, 0) == rec(3, 0) && rec(1, 0) == 101);
    int s[] = {3, 1, 2};
    qsort(s, 3, sizeof *s, cmp);
    CHECK(s[0] == 1 && s[2] == 3);
    v8 va = {1, 2, 3, 4, 5, 6, 7, 8};
    v8 vr = vadd(va, va);
    CHECK(vr[7] == 16);
    v16 x[3];
    for (int i = 0; i < 16; i++) x[0][i] = i, x[1][i] = 2, x[2][i] = 3;
    vspill(x, x);
    CHECK(x[0][15] == 21);
    v16 o = varg(x[1], x[1], x[1], x[1], x[1], x[1], x[1], x[1], x[1], x[2]);
    CHECK(o[3] == 22);
    return 0;
}
