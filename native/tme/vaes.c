/* AES-XTS with VAES and AVX-512: a line is one register. Several lines are worked on side by side, which hides the
 * instructions' latency. */
#include "tme/tme.h"

TME_FAST

#include <immintrin.h>

#define VAES __attribute__((target("vaes,aes,avx512f,avx512bw,avx512dq,avx512vl" TME_EVEX512)))

VAES static inline __m512i round_key(const uint8_t (*keys)[16], uint32_t round) {
    return _mm512_broadcast_i32x4(_mm_load_si128((const __m128i *)keys[round]));
}

/* The tweaks of four blocks: the first, shifted by 0 to 3 bits in GF(2^128). What is shifted out comes back as the
 * polynomial x^7 + x^2 + x + 1 times it. */
VAES static inline __m512i spread(const uint64_t tweak[2]) {
    const __m512i left = _mm512_set_epi64(3, 3, 2, 2, 1, 1, 0, 0);
    const __m512i right = _mm512_set_epi64(61, 61, 62, 62, 63, 63, 64, 64);
    const __mmask8 low = 0x55;
    __m512i all = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)tweak));
    __m512i out = _mm512_shuffle_epi32(_mm512_srlv_epi64(all, right), 0x4e); /* over to the other half */
    __m512i fold = _mm512_maskz_xor_epi64(low, _mm512_slli_epi64(out, 1), _mm512_slli_epi64(out, 2));
    fold = _mm512_mask_xor_epi64(fold, low, fold, _mm512_slli_epi64(out, 7));
    return _mm512_ternarylogic_epi64(_mm512_sllv_epi64(all, left), out, fold, 0x96);
}

VAES void tmebox_tme_vaes_encrypt(const struct tme_key *key, const uint64_t (*tweaks)[2], size_t count,
                                  const uint8_t *plain, uint8_t *cipher) {
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        __m512i tweak[4], line[4];
        for (size_t j = 0; j < 4; j++) {
            tweak[j] = spread(tweaks[i + j]);
            line[j] = _mm512_ternarylogic_epi64(_mm512_loadu_si512(plain + TME_LINE * (i + j)), tweak[j],
                                                round_key(key->data, 0), 0x96);
        }
        for (uint32_t round = 1; round < key->rounds; round++) {
            __m512i one = round_key(key->data, round);
            for (size_t j = 0; j < 4; j++) {
                line[j] = _mm512_aesenc_epi128(line[j], one);
            }
        }
        for (size_t j = 0; j < 4; j++) {
            line[j] = _mm512_aesenclast_epi128(line[j], round_key(key->data, key->rounds));
            _mm512_storeu_si512(cipher + TME_LINE * (i + j), _mm512_xor_si512(line[j], tweak[j]));
        }
    }
    for (; i < count; i++) {
        __m512i tweak = spread(tweaks[i]);
        __m512i line = _mm512_ternarylogic_epi64(_mm512_loadu_si512(plain + TME_LINE * i), tweak, round_key(key->data, 0),
                                                 0x96);
        for (uint32_t round = 1; round < key->rounds; round++) {
            line = _mm512_aesenc_epi128(line, round_key(key->data, round));
        }
        line = _mm512_aesenclast_epi128(line, round_key(key->data, key->rounds));
        _mm512_storeu_si512(cipher + TME_LINE * i, _mm512_xor_si512(line, tweak));
    }
}

VAES void tmebox_tme_vaes_decrypt(const struct tme_key *key, const uint64_t (*tweaks)[2], size_t count,
                                  const uint8_t *cipher, uint8_t *plain) {
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        __m512i tweak[4], line[4];
        for (size_t j = 0; j < 4; j++) {
            tweak[j] = spread(tweaks[i + j]);
            line[j] = _mm512_ternarylogic_epi64(_mm512_loadu_si512(cipher + TME_LINE * (i + j)), tweak[j],
                                                round_key(key->inverse, 0), 0x96);
        }
        for (uint32_t round = 1; round < key->rounds; round++) {
            __m512i one = round_key(key->inverse, round);
            for (size_t j = 0; j < 4; j++) {
                line[j] = _mm512_aesdec_epi128(line[j], one);
            }
        }
        for (size_t j = 0; j < 4; j++) {
            line[j] = _mm512_aesdeclast_epi128(line[j], round_key(key->inverse, key->rounds));
            _mm512_storeu_si512(plain + TME_LINE * (i + j), _mm512_xor_si512(line[j], tweak[j]));
        }
    }
    for (; i < count; i++) {
        __m512i tweak = spread(tweaks[i]);
        __m512i line = _mm512_ternarylogic_epi64(_mm512_loadu_si512(cipher + TME_LINE * i), tweak,
                                                 round_key(key->inverse, 0), 0x96);
        for (uint32_t round = 1; round < key->rounds; round++) {
            line = _mm512_aesdec_epi128(line, round_key(key->inverse, round));
        }
        line = _mm512_aesdeclast_epi128(line, round_key(key->inverse, key->rounds));
        _mm512_storeu_si512(plain + TME_LINE * i, _mm512_xor_si512(line, tweak));
    }
}
