"""The program that the tests of bases run, and how it is compiled."""

from __future__ import annotations

from typing import Any

import pytest

import tmebox
from tmebox.abi import Base, Isolation
from tmebox.errors import CompileError
from tmebox.toolchain.compile.gcc import gcc

PROGRAM = r"""
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

int host(int);
typedef long operation(long, long);

static long add(long a, long b) { return a + b; }
static long multiply(long a, long b) { return a * b; }
static operation *operations[] = {add, multiply};
static int table[1000];
static _Thread_local int mine = 7;
struct big { long words[40]; };

long apply(int which, long a, long b) { return operations[which & 1](a, b); }
unsigned long address_of(int which) { return (unsigned long)operations[which & 1]; }
long call(unsigned long function, long a, long b) { return ((operation *)function)(a, b); }
long read_at(unsigned long address) { return *(volatile long *)address; }
int before_null(void) { return *(volatile char *)-1L; }
int read_high(void) { return *(volatile int *)0xdeadbee0; }
void write_high(int value) { *(volatile int *)0x1deadbee0 = value; }
void write_at(unsigned long address, long value) { *(volatile long *)address = value; }
int twice(int x) { return host(x) + mine; }
int deep(int n) { volatile char room[1000]; room[0] = 1; return n ? deep(n - 1) + room[0] : 0; }

int fill(int n)
{
    for (int i = 0; i < n; i++) table[i] = i * i;
    int sum = 0;
    for (int i = n - 1; i >= 0; i -= 3) sum += table[i];
    return sum;
}

int choose(int x)
{
    switch (x) {
    case 0: return host(1);
    case 1: return mine;
    case 2: return table[3];
    case 3: return fill(5);
    case 4: return -9;
    case 5: return (int)strlen("five!");
    default: return 0;
    }
}

/* Its labels are claimed: the table is also read as data. */
int wander(int n, int which)
{
    static void *const places[] = {&&more, &&less, &&end};
    unsigned long place = (unsigned long)places[which];
    goto *places[n & 1];
more: n += 3;
    goto *(void *)place;
less: n -= 1;
    goto *(void *)place;
end:
    return n;
}

int on_the_stack(int n)
{
    char room[n];
    for (int i = 0; i < n; i++) room[i] = (char)i;
    int sum = 0;
    for (int i = 0; i < n; i++) sum += room[i * 7 % n];
    return sum;
}

static __attribute__((noinline)) struct big make(long x)
{
    struct big made;
    for (int i = 0; i < 40; i++) made.words[i] = x + i;
    return made;
}
long structs(long x)
{
    struct big one = make(x), other;
    memset(&other, 1, sizeof other);
    memmove(&other, &one, sizeof one);
    return other.words[39] - one.words[0];
}

/* gcc reaches the second byte of a register by its own name, which does not go with r15. */
void store_bytes(unsigned char *to, unsigned value)
{
    to[0] = value;
    to[1] = value >> 8;
    to[2] = value >> 16;
}
int bytes_of(unsigned value)
{
    unsigned char bytes[3];
    store_bytes(bytes, value);
    return bytes[0] | bytes[1] << 8 | bytes[2] << 16;
}

static jmp_buf there;
static __attribute__((noinline)) void leap(int x) { longjmp(there, x); }
int jumps(int n)
{
    volatile int rounds = 0;
    int got = setjmp(there);
    rounds++;
    if (got < n) leap(got + 1);
    return rounds * 100 + got;
}

int main(int argc, char **argv)
{
    double x = 2.5;
    printf("%s %d %.3f %s\n", argv[0], argc, x * x, "done");
    return jumps(3) == 403 ? 0 : 1;
}
"""


def needs(base: Base) -> None:
    """Skip the test if this machine cannot compile for `base`."""
    if base == "r15":
        try:
            gcc()
        except CompileError as error:
            pytest.skip(str(error))


def compile_for(text: str, base: Base, isolation: Isolation = "code+data", **options: Any) -> tmebox.Module:
    return tmebox.compile(
        source_text=text, base=base, isolation=isolation, trust_compiler=isolation == "data", **options
    )
