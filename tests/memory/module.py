"""A module that touches what it is told to, and says what it finds."""

from functools import cache

import tmebox

SOURCE = r"""
static const char constant[8192] = "constant";
char data[8192] = "data";
char room[64 << 20];
static unsigned long sum(const volatile unsigned char *from, unsigned long size)
{
    unsigned long total = 0;
    for (unsigned long i = 0; i < size; i++) total += from[i];
    return total;
}
unsigned long look(unsigned long offset, unsigned long size)
{
    return sum((const unsigned char *)offset, size);
}
void fill(unsigned long offset, unsigned long size, int value)
{
    for (unsigned long i = 0; i < size; i++) ((volatile unsigned char *)offset)[i] = value;
}
unsigned long where_constant(void) { return (unsigned long)constant; }
unsigned long where_data(void) { return (unsigned long)data; }
unsigned long where_room(void) { return (unsigned long)room; }
unsigned long dig(int depth, int value)
{
    volatile unsigned char frame[4000];
    unsigned long found = sum(frame, sizeof frame);
    if (value) for (int i = 0; i < (int)sizeof frame; i++) frame[i] = value;
    return depth ? found + dig(depth - 1, value) : found;
}
int add(int a, int b) { return a + b; }
"""


@cache
def module() -> tmebox.Module:
    return tmebox.compile(source_text=SOURCE)


def sandbox() -> tmebox.Sandbox:
    """128 MiB of memory, of which the module's `room` takes half."""
    return tmebox.Sandbox(module(), memory="128MiB")
