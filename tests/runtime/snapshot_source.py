"""A module with state of every kind: data, zeros, heap, constants, code addresses, buffered output."""

STATE_C = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char greeting[] = "constant";
static int counter = 100;
static char zeros[3 * 4096];
static int (*chosen)(int);
static int *heap;
static FILE *file;

static int twice(int v) { return 2 * v; }
static int square(int v) { return v * v; }

__attribute__((constructor)) static void construct(void) { counter++; }

int bump(void) { return ++counter; }
void choose(int which) { chosen = which ? square : twice; }
int apply(int v) { return chosen(v); }
void fill(int count)
{
    heap = malloc(count * sizeof *heap);
    for (int i = 0; i < count; i++) heap[i] = i * i;
}
long sum(int count)
{
    long total = 0;
    for (int i = 0; i < count; i++) total += heap[i];
    return total;
}
void soil(int with) { memset(zeros, with, sizeof zeros); }
int soiled(void) { int n = 0; for (unsigned i = 0; i < sizeof zeros; i++) n += zeros[i] != 0; return n; }
const char *greet(void) { return greeting; }
void say(const char *text) { printf("%s", text); }
void end_line(void) { printf("\n"); }
int open_file(const char *path) { file = fopen(path, "r"); return file != 0; }
void close_file(void) { fclose(file); }
int crash(void) { return *(volatile int *)16; }
void spin(void) { for (volatile int i = 0;; i++); }
unsigned long start_of_page(void) { return (unsigned long)zeros; }
char *allocate(long size) { return malloc(size); }
long used(void) { return (long)heap; }
"""

ADDRESSES_C = r"""
/* Reads and writes anywhere in the window. */
unsigned char peek(unsigned long offset) { return *(volatile unsigned char *)offset; }
void poke(unsigned long offset, int value) { *(volatile unsigned char *)offset = value; }
"""
