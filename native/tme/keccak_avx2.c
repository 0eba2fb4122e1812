/* MACs of four lines at once with AVX2: each 64-bit lane of Keccak's state is a register of four. */
#include "tme/tme.h"

TME_FAST

#include <immintrin.h>
#include <string.h>

#include "tme/keccak_rounds.h"

#define AVX2 __attribute__((target("avx2")))
#define LANE __m256i
#define XOR(a, b) _mm256_xor_si256(a, b)
#define XOR5(a, b, c, d, e) XOR(XOR(XOR(a, b), XOR(c, d)), e)
#define ROTATE(a, n) _mm256_or_si256(_mm256_slli_epi64(a, n), _mm256_srli_epi64(a, 64 - (n)))
#define CHI(a, b, c) XOR(a, _mm256_andnot_si256(b, c))

AVX2 static inline void rounds(__m256i *state) {
    __m256i a[25];
    memcpy(a, state, sizeof a);
    for (int round = 0; round < 24; round++) {
        KECCAK_ROUND(a, _mm256_set1_epi64x((long long)keccak_constants[round]));
    }
    memcpy(state, a, sizeof a);
}

/* The lanes of four lines, side by side: a transposition of 4 by 4. */
AVX2 static inline void gather(const uint8_t *cipher, __m256i *lanes) {
    for (int half = 0; half < 2; half++) {
        const uint8_t *from = cipher + 32 * half;
        __m256i r0 = _mm256_loadu_si256((const __m256i *)from), r1 = _mm256_loadu_si256((const __m256i *)(from + 64));
        __m256i r2 = _mm256_loadu_si256((const __m256i *)(from + 128));
        __m256i r3 = _mm256_loadu_si256((const __m256i *)(from + 192));
        __m256i a = _mm256_unpacklo_epi64(r0, r1), b = _mm256_unpackhi_epi64(r0, r1);
        __m256i c = _mm256_unpacklo_epi64(r2, r3), d = _mm256_unpackhi_epi64(r2, r3);
        lanes[4 * half] = _mm256_permute2x128_si256(a, c, 0x20);
        lanes[4 * half + 1] = _mm256_permute2x128_si256(b, d, 0x20);
        lanes[4 * half + 2] = _mm256_permute2x128_si256(a, c, 0x31);
        lanes[4 * half + 3] = _mm256_permute2x128_si256(b, d, 0x31);
    }
}

AVX2 void tmebox_tme_avx2_macs(const uint64_t mac_key[2], const uint64_t (*tweaks)[2], uint32_t td, size_t count,
                               const uint8_t *cipher, uint32_t *macs) {
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        __m256i lanes[25];
        uint64_t first[4];
        memset(lanes, 0, sizeof lanes);
        lanes[0] = _mm256_set1_epi64x((long long)mac_key[0]);
        lanes[1] = _mm256_set1_epi64x((long long)mac_key[1]);
        gather(cipher + TME_LINE * i, lanes + 2);
        for (int half = 0; half < 2; half++) {
            lanes[10 + half] =
                _mm256_set_epi64x((long long)tweaks[i + 3][half], (long long)tweaks[i + 2][half],
                                  (long long)tweaks[i + 1][half], (long long)tweaks[i][half]);
        }
        lanes[12] = _mm256_set1_epi64x((long long)KECCAK_TD_LANE(td));
        lanes[KECCAK_LAST_LANE] = _mm256_set1_epi64x((long long)KECCAK_LAST);
        rounds(lanes);
        _mm256_storeu_si256((__m256i *)first, lanes[0]);
        for (size_t j = 0; j < 4; j++) {
            macs[i + j] = (uint32_t)first[j] & ((1U << TME_MAC_BITS) - 1);
        }
    }
    /* One line alone is not worth four. */
    tmebox_tme_bmi_macs(mac_key, tweaks + i, td, count - i, cipher + TME_LINE * i, macs + i);
}

/* For known answers: the same state in all four, and one in general registers, which must agree. A difference shows as a
 * state that no answer has. */
AVX2 void tmebox_tme_avx2_permute(uint64_t lanes[25]) {
    __m256i wide[25];
    for (int i = 0; i < 25; i++) {
        wide[i] = _mm256_set1_epi64x((long long)lanes[i]);
    }
    rounds(wide);
    tmebox_tme_bmi_permute(lanes);
    for (int i = 0; i < 25; i++) {
        if ((uint64_t)_mm256_extract_epi64(wide[i], 3) != lanes[i]) {
            memset(lanes, 0, 25 * sizeof *lanes);
            return;
        }
    }
}
