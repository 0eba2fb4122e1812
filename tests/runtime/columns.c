/* What code does with columns, and what hostile code says of them. */
#include <stdint.h>

double total(const double *values, const uint8_t *there, long count) {
    double sum = 0;
    for (long i = 0; i < count; i++) {
        if (there == 0 || there[i >> 3] >> (i & 7) & 1) {
            sum += values[i];
        }
    }
    return sum;
}

long letters(const char *values, const int32_t *offsets, long count, int letter) {
    long found = 0;
    for (long i = 0; i < count; i++) {
        for (int32_t at = offsets[i]; at < offsets[i + 1]; at++) {
            found += values[at] == letter;
        }
    }
    return found;
}

long bits(const uint8_t *values, long count) {
    long found = 0;
    for (long i = 0; i < count; i++) {
        found += values[i >> 3] >> (i & 7) & 1;
    }
    return found;
}

void twice(const double *values, double *result, long count) {
    for (long i = 0; i < count; i++) {
        result[i] = 2 * values[i];
    }
}

static char text[] = "hellobigworld";
static int32_t offsets[] = {0, 5, 8, 13};
static double numbers[] = {1, 2, 3, 4};
static uint8_t there[] = {0xb};
uint64_t text_at(void) { return (uint64_t)text; }
uint64_t offsets_at(void) { return (uint64_t)offsets; }
uint64_t numbers_at(void) { return (uint64_t)numbers; }
uint64_t there_at(void) { return (uint64_t)there; }
void move_text(int index, int32_t offset) { offsets[index] = offset; }
void write_text(int index, int letter) { text[index] = (char)letter; }
void write_there(int bits) { there[0] = (uint8_t)bits; }
