/* What gets the addresses, and arguments by value: this file has no aligned object of its own. */
#include <stdarg.h>
#include <stdint.h>
typedef float v8 __attribute__((vector_size(32)));
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
int misaligned(const void *p, int alignment) { return (uintptr_t)p % alignment != 0; }
int by_value(int n, struct aligned one, struct vectors two) {
    return misaligned(&one, 64) + misaligned(&two, 32) + (one.x[0] != n) + (one.x[1] != 2) + (two.a[0][0] != n) +
           (two.a[1][0] != 3) + (two.b != 4);
}
int variable(int count, ...) {
    va_list all;
    va_start(all, count);
    struct plain plain = va_arg(all, struct plain);
    long double last = va_arg(all, long double);
    va_end(all);
    return (plain.x[2] != 3) + (last != 1.5L);
}
