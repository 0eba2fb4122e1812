"""Modules that several test files call, compiled once per session."""

from collections.abc import Iterator

import pytest

import tmebox

CALLS_C = r"""
#include <stdbool.h>
#include <stdint.h>

int add(int a, int b) { return a + b; }
int8_t echo_i8(int8_t v) { return v; }
uint8_t echo_u8(uint8_t v) { return v; }
int16_t echo_i16(int16_t v) { return v; }
uint16_t echo_u16(uint16_t v) { return v; }
int32_t echo_i32(int32_t v) { return v; }
uint32_t echo_u32(uint32_t v) { return v; }
int64_t echo_i64(int64_t v) { return v; }
uint64_t echo_u64(uint64_t v) { return v; }
bool negate(bool v) { return !v; }
float half(float v) { return v / 2; }
double twice(double v) { return v * 2; }
void nothing(void) {}
enum color { RED, GREEN = 5 };
enum color paint(enum color c) { return c == RED ? GREEN : RED; }

long sum8(long a, long b, long c, long d, long e, long f, long g, long h)
{
    return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h;
}
double mix(int a, double b, long c, float d, int e, double f, int g, int h, int i, int j, double k, double l,
           double m, double n, double o, double p)
{
    return a + b + c + d + e + f + g + h + i + j + k + l + m + n + o + p;
}

struct point { int x, y; };
struct mixed { double d; long l; };
struct pair { float a, b; };
struct big { long v[5]; };
struct nested { struct point p; unsigned char tag; };
struct point flip(struct point p) { return (struct point){p.y, p.x}; }
struct mixed grow(struct mixed m) { return (struct mixed){m.d + 1, m.l + 2}; }
struct pair swap(struct pair p) { return (struct pair){p.b, p.a}; }
struct big big_twice(struct big b) { for (int i = 0; i < 5; i++) b.v[i] *= 2; return b; }
struct nested tag(struct nested n) { n.tag++; n.p.x = -n.p.x; return n; }
void move_point(struct point *p, int dx) { p->x += dx; }
int point_sum(const struct point *p) { return p->x + p->y; }

long total(const int *values, int count)
{
    long sum = 0;
    for (int i = 0; i < count; i++) sum += values[i];
    return sum;
}
void scale(double *values, int count, double by) { for (int i = 0; i < count; i++) values[i] *= by; }
void fill(unsigned char *to, int count, int with) { for (int i = 0; i < count; i++) to[i] = with; }
int length(const char *s) { int n = 0; while (s[n]) n++; return n; }
const char *name(int which) { return which ? (which < 0 ? 0 : "sandboxed \xc3\xa9") : ""; }
void *same(void *p) { return p; }
int counter;
int count(void) { return ++counter; }
"""


@pytest.fixture(scope="session")
def calls_module() -> tmebox.Module:
    return tmebox.compile(source_text=CALLS_C)


@pytest.fixture
def calls(calls_module: tmebox.Module) -> Iterator[tmebox.Sandbox]:
    with tmebox.Sandbox(calls_module) as sandbox:
        yield sandbox
