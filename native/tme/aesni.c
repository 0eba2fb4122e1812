/* AES-XTS with AES-NI: the four blocks of a line side by side. */
#include "tme/tme.h"

TME_FAST

#include <immintrin.h>

#define AES __attribute__((target("aes,sse4.1")))

AES static inline __m128i round_key(const uint8_t (*keys)[16], uint32_t round) {
    return _mm_load_si128((const __m128i *)keys[round]);
}

AES void tmebox_tme_ni_tweaks(const struct tme_key *key, uint64_t address, size_t count, uint64_t (*tweaks)[2]) {
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        __m128i block[4];
        for (int j = 0; j < 4; j++) {
            block[j] = _mm_xor_si128(_mm_set_epi64x(0, (long long)(address + TME_LINE * (i + (size_t)j))),
                                     round_key(key->tweak, 0));
        }
        for (uint32_t round = 1; round < key->rounds; round++) {
            __m128i one = round_key(key->tweak, round);
            for (int j = 0; j < 4; j++) {
                block[j] = _mm_aesenc_si128(block[j], one);
            }
        }
        for (int j = 0; j < 4; j++) {
            block[j] = _mm_aesenclast_si128(block[j], round_key(key->tweak, key->rounds));
            _mm_storeu_si128((__m128i *)tweaks[i + (size_t)j], block[j]);
        }
    }
    for (; i < count; i++) {
        __m128i block = _mm_xor_si128(_mm_set_epi64x(0, (long long)(address + TME_LINE * i)), round_key(key->tweak, 0));
        for (uint32_t round = 1; round < key->rounds; round++) {
            block = _mm_aesenc_si128(block, round_key(key->tweak, round));
        }
        _mm_storeu_si128((__m128i *)tweaks[i], _mm_aesenclast_si128(block, round_key(key->tweak, key->rounds)));
    }
}

/* The tweaks of a line's four blocks: each is the one before, doubled in GF(2^128). */
AES static inline void spread(const uint64_t tweak[2], __m128i out[4]) {
    uint64_t low = tweak[0], high = tweak[1];
    for (int i = 0; i < 4; i++) {
        out[i] = _mm_set_epi64x((long long)high, (long long)low);
        uint64_t carry = high >> 63;
        high = high << 1 | low >> 63;
        low = low << 1 ^ ((0 - carry) & 0x87);
    }
}

AES void tmebox_tme_ni_encrypt(const struct tme_key *key, const uint64_t (*tweaks)[2], size_t count, const uint8_t *plain,
                               uint8_t *cipher) {
    for (size_t i = 0; i < count; i++) {
        const __m128i *from = (const __m128i *)(plain + TME_LINE * i);
        __m128i *to = (__m128i *)(cipher + TME_LINE * i), tweak[4], block[4];
        spread(tweaks[i], tweak);
        for (int j = 0; j < 4; j++) {
            block[j] = _mm_xor_si128(_mm_xor_si128(_mm_loadu_si128(from + j), tweak[j]), round_key(key->data, 0));
        }
        for (uint32_t round = 1; round < key->rounds; round++) {
            __m128i one = round_key(key->data, round);
            for (int j = 0; j < 4; j++) {
                block[j] = _mm_aesenc_si128(block[j], one);
            }
        }
        for (int j = 0; j < 4; j++) {
            block[j] = _mm_aesenclast_si128(block[j], round_key(key->data, key->rounds));
            _mm_storeu_si128(to + j, _mm_xor_si128(block[j], tweak[j]));
        }
    }
}

AES void tmebox_tme_ni_decrypt(const struct tme_key *key, const uint64_t (*tweaks)[2], size_t count, const uint8_t *cipher,
                               uint8_t *plain) {
    for (size_t i = 0; i < count; i++) {
        const __m128i *from = (const __m128i *)(cipher + TME_LINE * i);
        __m128i *to = (__m128i *)(plain + TME_LINE * i), tweak[4], block[4];
        spread(tweaks[i], tweak);
        for (int j = 0; j < 4; j++) {
            block[j] = _mm_xor_si128(_mm_xor_si128(_mm_loadu_si128(from + j), tweak[j]), round_key(key->inverse, 0));
        }
        for (uint32_t round = 1; round < key->rounds; round++) {
            __m128i one = round_key(key->inverse, round);
            for (int j = 0; j < 4; j++) {
                block[j] = _mm_aesdec_si128(block[j], one);
            }
        }
        for (int j = 0; j < 4; j++) {
            block[j] = _mm_aesdeclast_si128(block[j], round_key(key->inverse, key->rounds));
            _mm_storeu_si128(to + j, _mm_xor_si128(block[j], tweak[j]));
        }
    }
}
