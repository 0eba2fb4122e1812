"""What the benchmark of the shared heap runs in sandboxes, and how it takes times."""

from __future__ import annotations

import time
from collections.abc import Callable

from tmebox_bench.statistics import Spread, spread

PAGE = 4096
ROUNDS = 9

SOURCE = """
#include <tmebox.h>

static int once;
int add(int a, int b) { return a + b; }
int write_static(int value) { return once = value; }
unsigned long poke(volatile unsigned long *p) { return *p = 1; }
void churn(unsigned long times, unsigned long size)
{
    for (unsigned long i = 0; i < times; i++)
        tmebox_shared_free(tmebox_shared_alloc(size));
}
unsigned long make(unsigned long size) { return (unsigned long)tmebox_shared_alloc(size); }
void read_often(const volatile unsigned long *p, unsigned long times)
{
    for (unsigned long i = 0; i < times; i++)
        (void)*p;
}
void write_often(volatile unsigned long *p, unsigned long times)
{
    for (unsigned long i = 0; i < times; i++)
        *p = i;
}
void add_often(unsigned long *p, unsigned long times)
{
    for (unsigned long i = 0; i < times; i++)
        __asm__ volatile("addq %1, %0" : "+m"(*p) : "r"(i));
}
void multiply_often(volatile double *p, unsigned long times)
{
    double all = 1;
    for (unsigned long i = 0; i < times; i++)
        all += all * *p;
    *p = all;
}
void fill(unsigned char *p, unsigned long size)
{
    for (unsigned long i = 0; i < size; i++)
        p[i] = (unsigned char)i;
}
unsigned long touch(const volatile unsigned char *p, unsigned long size)
{
    unsigned long all = 0;
    for (unsigned long i = 0; i < size; i += 4096)
        all += p[i];
    return all;
}
unsigned long work(unsigned long *p, unsigned long count, unsigned long passes)
{
    unsigned long all = 0;
    for (unsigned long pass = 0; pass < passes; pass++)
        for (unsigned long i = 0; i < count; i++)
            p[i] = all = (all ^ p[i]) * 31;
    return all;
}
void run_on(volatile unsigned long *p)
{
    while (*p != ~0UL)
        *p += 2;
}
"""


def cpu_ns(work: Callable[[], object], count: int, rounds: int = 0) -> Spread:
    """Nanoseconds of this thread's processor time for each of the `count` things that work() does."""
    samples = []
    for _ in range(rounds or ROUNDS):
        began = time.thread_time_ns()
        work()
        samples.append((time.thread_time_ns() - began) / count)
    return spread(samples)


def side_by_side(one: Callable[[], object], other: Callable[[], object], rounds: int = 0) -> Spread:
    """How many times as long the first takes, in turns."""
    found = []
    for _ in range(rounds or ROUNDS):
        began = time.thread_time_ns()
        one()
        middle = time.thread_time_ns()
        other()
        found.append((middle - began) / (time.thread_time_ns() - middle))
    return spread(found)
