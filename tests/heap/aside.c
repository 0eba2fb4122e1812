/* Every way in which code touches memory, for blocks whose pages no view shows. */
#include <immintrin.h>

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long u64;

/* Numbers that all depend on what is in `p`, which changes: 512 bytes. */
u64 mixture(u8 *p)
{
    volatile u64 *words = (volatile u64 *)p;
    volatile u32 *halves = (volatile u32 *)p;
    volatile double *doubles = (volatile double *)(p + 256);
    u64 sum = 0;
    for (u32 i = 0; i < 16; i++) {
        sum = sum * 31 + words[i];
        words[i] ^= sum;
        halves[2 * i + 1] += 7;
        p[128 + i] = (u8)(sum >> i);
        sum += ((volatile short *)p)[i] + (u64)((volatile signed char *)p)[i + 3];
    }
    __atomic_fetch_add(&((u64 *)p)[17], sum, __ATOMIC_SEQ_CST);
    __atomic_exchange_n(&((u64 *)p)[18], sum, __ATOMIC_SEQ_CST);
    u64 expected = words[19];
    __atomic_compare_exchange_n(&((u64 *)p)[19], &expected, ~sum, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    for (u32 i = 0; i < 8; i++)
        doubles[i] = (double)(long)(words[i] % 1000) / 7 + doubles[i] * 0.5;
    for (u32 i = 0; i < 8; i++)
        sum += (u64)(long)(doubles[i] * 1000.0);
    return sum + words[20] % (words[21] | 1);
}

__attribute__((target("avx2")))
u64 vectors(u8 *p)
{
    __m256i sum = _mm256_loadu_si256((const __m256i *)(p + 1));
    __m256i mask = _mm256_set_epi32(-1, 0, -1, -1, 0, 0, -1, 0);
    sum = _mm256_add_epi32(sum, _mm256_loadu_si256((const __m256i *)(p + 33)));
    _mm256_maskstore_epi32((int *)(p + 68), mask, sum);
    sum = _mm256_xor_si256(sum, _mm256_maskload_epi32((const int *)(p + 100), mask));
    _mm256_storeu_si256((__m256i *)(p + 160), sum);
    _mm_storeu_si128((__m128i *)(p + 200), _mm_mul_epu32(_mm_loadu_si128((const __m128i *)(p + 9)),
                                                        _mm256_castsi256_si128(sum)));
    return (u64)_mm256_extract_epi64(sum, 0) ^ (u64)_mm256_extract_epi64(sum, 3);
}

/* x87: ten bytes, and what it keeps in its registers meanwhile. */
long double extended(long double *p, int n)
{
    long double sum = 1;
    for (int i = 0; i < n; i++) {
        sum = sum / 3 + p[i];
        p[i] = sum;
    }
    return sum;
}

double extended_of(u8 *p)
{
    long double *numbers = (long double *)p;
    for (int i = 0; i < 8; i++)
        numbers[i] = (long double)p[i + 200] / 9;
    return (double)extended(numbers, 8);
}

u64 strings(u8 *p)
{
    u8 here[200];
    for (int i = 0; i < 200; i++)
        here[i] = (u8)(i * 3);
    void *to = p + 5, *from = here;
    u64 count = 130;
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
    to = p + 200, count = 9;
    __asm__ volatile("rep stosq" : "+D"(to), "+c"(count) : "a"(0x0123456789abcdefUL) : "memory");
    to = here, from = p + 17, count = 20;
    __asm__ volatile("rep movsl" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
    to = p + 30, from = p + 27, count = 50; /* they overlap */
    __asm__ volatile("rep movsw" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
    u64 sum = 0;
    for (int i = 0; i < 200; i++)
        sum = sum * 7 + here[i];
    return sum;
}

u64 pushes(u8 *p)
{
    u64 first, second;
    __asm__ volatile("addq $-128, %%rsp\n\t"
                     "pushq 8(%2)\n\t"
                     "pushq 16(%2)\n\t"
                     "popq 24(%2)\n\t"
                     "popq %0\n\t"
                     "addq $128, %%rsp\n\t"
                     "movq 24(%2), %1"
                     : "=&r"(first), "=&r"(second) : "r"(p) : "memory");
    return first * 3 + second;
}

/* -- for one access, as often as wanted ---------------------------------------------------------------- */
u64 count_up(volatile u64 *p, u64 times)
{
    for (u64 i = 0; i < times; i++)
        (*p)++;
    return *p;
}

void for_ever(volatile u64 *p)
{
    for (;;)
        (*p)++;
}

u32 divide(volatile u32 *p, u32 number)
{
    u32 quotient, rest;
    __asm__ volatile("divl %4" : "=a"(quotient), "=d"(rest) : "a"(number), "d"(0), "m"(*p));
    return quotient + rest;
}

/* With the exception for that unmasked. */
double divide_double(const double *p, double number)
{
    u32 control = 0x1f80 & ~0x200u;
    __asm__ volatile("ldmxcsr %0" : : "m"(control));
    __asm__ volatile("divsd %1, %0" : "+x"(number) : "m"(*p));
    return number;
}

void store_vector(u8 *p)
{
    _mm_storeu_si128((__m128i *)p, _mm_set1_epi8(0x55));
}

u64 exchange(u64 *p, u64 value)
{
    return __atomic_exchange_n(p, value, __ATOMIC_SEQ_CST);
}

void fill_words(u64 *p, u64 count)
{
    __asm__ volatile("rep stosq" : "+D"(p), "+c"(count) : "a"(0x1111111111111111UL) : "memory");
}

void move_words(u64 *to, const u64 *from, u64 count)
{
    __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}

u64 peek(const volatile u64 *p)
{
    return *p;
}
