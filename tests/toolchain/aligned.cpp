// Vectors and aligned objects in frames that exceptions pass or end in.
#include <cstdint>
#define NOINLINE __attribute__((noinline))
typedef float v8 __attribute__((vector_size(32)));

NOINLINE static bool misaligned(volatile const void *p, int alignment) {
    asm volatile("" : "+r"(p));
    return (uintptr_t)p % alignment != 0;
}
struct Watch {
    alignas(64) volatile int x[16];
    int *count;
    explicit Watch(int *count) : x{1}, count(count) {}
    ~Watch() { *count += misaligned(x, 64) || x[0] != 1 ? 1000 : 1; }
};
NOINLINE static void thrower(int n, int *count) {
    Watch watch(count);
    if (n == 0) throw 7;
    thrower(n - 1, count);
    watch.x[1] = 2;
}
// Its vectors are in its frame during the calls.
NOINLINE static float spills(const v8 *p, int n, int *count) {
    v8 a = p[0] + p[1], b = p[0] - p[2], c = p[1] * p[2], d = p[3], e = p[2] + p[3];
    int caught = 0;
    try {
        thrower(n, count);
    } catch (int number) {
        alignas(32) volatile int y[8] = {number};
        caught = misaligned(y, 32) ? 1000 : y[0];
        try {
            thrower(n + 1, count);
        } catch (...) {
            caught++;
        }
    }
    v8 s = a * b + c * d + e;
    return s[0] + s[7] + caught;
}

extern "C" int check() {
    v8 p[4];
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 8; j++) p[i][j] = i + j;
    float want = 0;
    for (int j = 0; j < 8; j += 7) want += (j + j + 1) * -2 + (1 + j) * (2 + j) * (3 + j) + 5 + 2 * j;
    for (int n = 0; n < 6; n++) {
        int count = 0;
        if (spills(p, n, &count) != want + 8) return __LINE__;
        if (count != 2 * n + 3) return 100 + n;
    }
    return 0;
}
