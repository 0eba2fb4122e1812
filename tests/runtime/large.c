/* Allocations and frames of any size, for tests of large memory and large stacks. */
#include <stdlib.h>
#include <string.h>

__attribute__((noinline)) int touch(volatile char *first, unsigned long size) {
    first[0] = 1;
    first[size - 1] = 2;
    return first[0] + first[size - 1];
}

unsigned long take(unsigned long size) { return (unsigned long)malloc(size); }
void give(unsigned long offset) { free((void *)offset); }
unsigned long grow(unsigned long offset, unsigned long size) { return (unsigned long)realloc((void *)offset, size); }

unsigned long fill(unsigned long size) {
    unsigned long count = 0;
    for (char *volatile part; (part = malloc(size)) != NULL; count++) {
        touch(part, size);
    }
    return count;
}

int peek(unsigned long offset) { return *(volatile unsigned char *)offset; }
void poke(unsigned long offset, int value) { *(volatile unsigned char *)offset = (unsigned char)value; }
void set(unsigned long offset, int value, unsigned long size) { memset((void *)offset, value, size); }

long total(const int *numbers, unsigned long count) {
    long sum = 0;
    for (unsigned long i = 0; i < count; i++) {
        sum += numbers[i];
    }
    return sum;
}

int first_number;
unsigned long numbers_of(unsigned long count) {
    int *numbers = malloc(count * sizeof *numbers);
    for (unsigned long i = 0; numbers != NULL && i < count; i++) {
        numbers[i] = (int)(i % 7);
    }
    return (unsigned long)numbers;
}

__attribute__((noinline)) long depth(unsigned long times) {
    volatile char frame[1000];
    touch(frame, sizeof frame);
    return times != 0 ? depth(times - 1) + frame[0] : 0;
}

#define FRAME(mib)                              \
    int frame_##mib(void) {                     \
        volatile char all[(unsigned long)mib << 20]; \
        return touch(all, sizeof all);          \
    }
FRAME(1) FRAME(2)

__attribute__((noinline)) long frames(unsigned long times) {
    volatile char all[40 << 20];
    touch(all, sizeof all);
    return times != 0 ? frames(times - 1) + all[0] : 0;
}
