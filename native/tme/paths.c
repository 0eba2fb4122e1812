/* The paths, the fastest last, and what the CPU must have for each, as usable under this kernel. */
#include "tme/tme.h"

#include <cpuid.h>
#include <string.h>

#define SSE41_AES ((1U << 19) | (1U << 25))
#define YMM 0x6
#define ZMM 0xe6

static uint64_t enabled_state(void) {
    unsigned int eax, ebx, ecx, edx;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & (1U << 27))) { /* OSXSAVE */
        return 0;
    }
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static bool always(void) {
    return true;
}

static bool has_aes(void) {
    unsigned int eax, ebx, ecx, edx;
    return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & SSE41_AES) == SSE41_AES;
}

static bool has_7(uint32_t ebx_bits, uint32_t ecx_bits, uint64_t state) {
    unsigned int eax, ebx, ecx, edx;
    return (enabled_state() & state) == state && __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) &&
           (ebx & ebx_bits) == ebx_bits && (ecx & ecx_bits) == ecx_bits;
}

static bool has_avx2(void) {
    return has_aes() && has_7(1U << 3 | 1U << 5 | 1U << 8, 0, YMM); /* BMI1, AVX2, BMI2 */
}

/* AVX-512 F, DQ, BW, VL and VAES. */
static bool has_avx512(void) {
    return has_aes() && has_7(1U << 16 | 1U << 17 | 1U << 30 | 1U << 31, 1U << 9, ZMM);
}

static const struct tme_path paths[] = {
    {"portable", always, tmebox_tme_plain_tweaks, tmebox_tme_plain_encrypt, tmebox_tme_plain_decrypt, tmebox_tme_macs,
     tmebox_tme_permute},
    {"aesni", has_aes, tmebox_tme_ni_tweaks, tmebox_tme_ni_encrypt, tmebox_tme_ni_decrypt, tmebox_tme_macs,
     tmebox_tme_permute},
    {"avx2", has_avx2, tmebox_tme_ni_tweaks, tmebox_tme_ni_encrypt, tmebox_tme_ni_decrypt, tmebox_tme_avx2_macs,
     tmebox_tme_avx2_permute},
    {"avx512", has_avx512, tmebox_tme_ni_tweaks, tmebox_tme_vaes_encrypt, tmebox_tme_vaes_decrypt,
     tmebox_tme_avx512_macs, tmebox_tme_avx512_permute},
};

const struct tme_path *tmebox_tme_path_at(size_t n) {
    return n < sizeof paths / sizeof *paths ? &paths[n] : NULL;
}

const struct tme_path *tmebox_tme_path(const char *name) {
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        if (strcmp(paths[i].name, name) == 0) {
            return paths[i].usable() ? &paths[i] : NULL;
        }
    }
    return NULL;
}

const struct tme_path *tmebox_tme_best_path(void) {
    const struct tme_path *best = &paths[0];
    for (size_t i = 1; i < sizeof paths / sizeof *paths; i++) {
        best = paths[i].usable() ? &paths[i] : best;
    }
    return best;
}
