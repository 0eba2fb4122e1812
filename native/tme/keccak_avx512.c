/* MACs with AVX-512: its 32 registers hold Keccak's state, and three-way logic and rotations halve the instructions. Eight
 * lines at once; what is left over goes one by one, see keccak_pairs.c. */
#include "tme/tme.h"

TME_FAST

#include <immintrin.h>
#include <string.h>

#include "tme/keccak_rounds.h"

#define AVX512 __attribute__((target("avx512f,avx512vl,avx512dq" TME_EVEX512)))

#define XOR(a, b) _mm512_xor_si512(a, b)
#define XOR5(a, b, c, d, e) _mm512_ternarylogic_epi64(_mm512_ternarylogic_epi64(a, b, c, 0x96), d, e, 0x96)
#define ROTATE(a, n) _mm512_rol_epi64(a, n)
#define CHI(a, b, c) _mm512_ternarylogic_epi64(a, b, c, 0xd2)
#define CONSTANT(value) _mm512_set1_epi64((long long)(value))
#define LANE __m512i
AVX512 static inline __attribute__((always_inline)) void rounds_of_eight(__m512i *state) {
    __m512i a[25];
    memcpy(a, state, sizeof a);
    KECCAK_ALL_ROUNDS(a);
    memcpy(state, a, sizeof a);
}

/* The lanes of eight lines, side by side: a transposition of 8 by 8. */
AVX512 static inline void gather(const uint8_t *cipher, __m512i *lanes) {
    __m512i row[8], pair[8], four[8];
    for (int i = 0; i < 8; i++) {
        row[i] = _mm512_loadu_si512(cipher + TME_LINE * i);
    }
    for (int i = 0; i < 8; i += 2) {
        pair[i] = _mm512_unpacklo_epi64(row[i], row[i + 1]);
        pair[i + 1] = _mm512_unpackhi_epi64(row[i], row[i + 1]);
    }
    for (int i = 0; i < 2; i++) {
        four[i] = _mm512_shuffle_i64x2(pair[i], pair[i + 2], 0x88);
        four[i + 2] = _mm512_shuffle_i64x2(pair[i], pair[i + 2], 0xdd);
        four[i + 4] = _mm512_shuffle_i64x2(pair[i + 4], pair[i + 6], 0x88);
        four[i + 6] = _mm512_shuffle_i64x2(pair[i + 4], pair[i + 6], 0xdd);
    }
    for (int i = 0; i < 2; i++) {
        lanes[i] = _mm512_shuffle_i64x2(four[i], four[i + 4], 0x88);
        lanes[i + 4] = _mm512_shuffle_i64x2(four[i], four[i + 4], 0xdd);
        lanes[i + 2] = _mm512_shuffle_i64x2(four[i + 2], four[i + 6], 0x88);
        lanes[i + 6] = _mm512_shuffle_i64x2(four[i + 2], four[i + 6], 0xdd);
    }
}

AVX512 static void macs_of_eight(const uint64_t mac_key[2], const uint64_t (*tweaks)[2], uint32_t td,
                                 const uint8_t *cipher, uint32_t *macs) {
    __m512i lanes[25];
    memset(lanes, 0, sizeof lanes);
    lanes[0] = _mm512_set1_epi64((long long)mac_key[0]);
    lanes[1] = _mm512_set1_epi64((long long)mac_key[1]);
    gather(cipher, lanes + 2);
    __m512i low = _mm512_loadu_si512(tweaks), high = _mm512_loadu_si512(tweaks + 4);
    const __m512i even = _mm512_set_epi64(14, 12, 10, 8, 6, 4, 2, 0), odd = _mm512_set_epi64(15, 13, 11, 9, 7, 5, 3, 1);
    lanes[10] = _mm512_permutex2var_epi64(low, even, high);
    lanes[11] = _mm512_permutex2var_epi64(low, odd, high);
    lanes[12] = _mm512_set1_epi64((long long)KECCAK_TD_LANE(td));
    lanes[KECCAK_LAST_LANE] = _mm512_set1_epi64((long long)KECCAK_LAST);
    rounds_of_eight(lanes);
    _mm256_storeu_si256((__m256i *)macs, _mm256_and_si256(_mm512_cvtepi64_epi32(lanes[0]),
                                                          _mm256_set1_epi32((1 << TME_MAC_BITS) - 1)));
}

AVX512 void tmebox_tme_avx512_macs(const uint64_t mac_key[2], const uint64_t (*tweaks)[2], uint32_t td, size_t count,
                                   const uint8_t *cipher, uint32_t *macs) {
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        macs_of_eight(mac_key, tweaks + i, td, cipher + TME_LINE * i, macs + i);
    }
    for (; i < count; i++) {
        macs[i] = tmebox_tme_pairs_mac(mac_key, tweaks[i], td, cipher + TME_LINE * i);
    }
}

/* For known answers: eight states, and one in pairs, which must agree. A difference shows as a state that no answer has. */
AVX512 void tmebox_tme_avx512_permute(uint64_t lanes[25]) {
    __m512i wide[25];
    for (int i = 0; i < 25; i++) {
        wide[i] = _mm512_set1_epi64((long long)lanes[i]);
    }
    rounds_of_eight(wide);
    tmebox_tme_pairs_permute(lanes);
    for (int i = 0; i < 25; i++) {
        uint64_t eight[8];
        _mm512_storeu_si512(eight, wide[i]);
        if (eight[7] != lanes[i]) {
            memset(lanes, 0, 25 * sizeof *lanes);
            return;
        }
    }
}
