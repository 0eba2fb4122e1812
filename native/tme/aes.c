/* AES in portable C: key expansion for every path, and AES-XTS for CPUs without AES instructions. The S-box is computed, not
 * typed. Its tables leave traces in the cache: side channels of the model's host are out of scope. */
#include "tme/tme.h"

TME_FAST

#include <string.h>

static uint8_t substitute[256], restore[256], unmix[4][256]; /* the last: times 14, 11, 13, 9 */

static uint8_t doubled(uint8_t a) {
    return (uint8_t)(a << 1 ^ (a >> 7) * 0x1b);
}

static uint8_t times(uint8_t a, uint8_t b) {
    uint8_t product = 0;
    for (; b != 0; b >>= 1, a = doubled(a)) {
        product ^= b & 1 ? a : 0;
    }
    return product;
}

/* Walks through the field with a generator and its inverse, side by side. */
__attribute__((constructor)) static void make_tables(void) {
    uint8_t power = 1, inverse = 1;
    do {
        power ^= doubled(power); /* times 3 */
        inverse ^= inverse << 1; /* divided by 3 */
        inverse ^= inverse << 2;
        inverse ^= inverse << 4;
        inverse ^= inverse & 0x80 ? 9 : 0;
        uint8_t s = 0x63 ^ inverse;
        for (int turn = 1; turn <= 4; turn++) {
            s ^= (uint8_t)(inverse << turn | inverse >> (8 - turn));
        }
        substitute[power] = s;
        restore[s] = power;
    } while (power != 1);
    substitute[0] = 0x63;
    restore[0x63] = 0;
    static const uint8_t factors[4] = {14, 11, 13, 9};
    for (int i = 0; i < 4; i++) {
        for (int byte = 0; byte < 256; byte++) {
            unmix[i][byte] = times((uint8_t)byte, factors[i]);
        }
    }
}

static void expand(uint8_t (*round_keys)[16], uint32_t rounds, const uint8_t *key, uint32_t words) {
    uint8_t *bytes = &round_keys[0][0], constant = 1;
    memcpy(bytes, key, 4 * words);
    for (uint32_t i = words; i < 4 * (rounds + 1); i++) {
        uint8_t word[4];
        memcpy(word, bytes + 4 * (i - 1), 4);
        if (i % words == 0) {
            uint8_t first = word[0];
            word[0] = substitute[word[1]] ^ constant;
            word[1] = substitute[word[2]];
            word[2] = substitute[word[3]];
            word[3] = substitute[first];
            constant = doubled(constant);
        } else if (words > 6 && i % words == 4) {
            for (int j = 0; j < 4; j++) {
                word[j] = substitute[word[j]];
            }
        }
        for (int j = 0; j < 4; j++) {
            bytes[4 * i + j] = bytes[4 * (i - words) + j] ^ word[j];
        }
    }
}

static void unmix_column(uint8_t *c) {
    uint8_t old[4] = {c[0], c[1], c[2], c[3]};
    for (int i = 0; i < 4; i++) {
        c[i] = unmix[0][old[i]] ^ unmix[1][old[(i + 1) & 3]] ^ unmix[2][old[(i + 2) & 3]] ^ unmix[3][old[(i + 3) & 3]];
    }
}

void tmebox_tme_expand(struct tme_key *key, uint32_t key_bits, const uint8_t *data_key, const uint8_t *tweak_key) {
    uint32_t words = key_bits / 32;
    key->rounds = words + 6;
    expand(key->data, key->rounds, data_key, words);
    expand(key->tweak, key->rounds, tweak_key, words);
    for (uint32_t round = 0; round <= key->rounds; round++) {
        uint8_t *inverse = key->inverse[round];
        memcpy(inverse, key->data[key->rounds - round], 16);
        for (int column = 0; round != 0 && round != key->rounds && column < 4; column++) {
            unmix_column(inverse + 4 * column);
        }
    }
    key->encrypted = true;
}

static void add(uint8_t *state, const uint8_t *round_key) {
    for (int i = 0; i < 16; i++) {
        state[i] ^= round_key[i];
    }
}

static void encrypt_block(const uint8_t (*round_keys)[16], uint32_t rounds, uint8_t *state) {
    uint8_t turned[16];
    add(state, round_keys[0]);
    for (uint32_t round = 1; round <= rounds; round++) {
        for (int i = 0; i < 16; i++) {
            turned[i] = substitute[state[(i + 4 * (i & 3)) & 15]];
        }
        for (int column = 0; round != rounds && column < 4; column++) {
            uint8_t *c = turned + 4 * column, all = c[0] ^ c[1] ^ c[2] ^ c[3], first = c[0];
            for (int i = 0; i < 4; i++) {
                c[i] ^= all ^ doubled(c[i] ^ (i == 3 ? first : c[i + 1]));
            }
        }
        memcpy(state, turned, 16);
        add(state, round_keys[round]);
    }
}

static void decrypt_block(const uint8_t (*round_keys)[16], uint32_t rounds, uint8_t *state) {
    uint8_t turned[16];
    add(state, round_keys[rounds]);
    for (uint32_t round = rounds; round-- > 0;) {
        for (int i = 0; i < 16; i++) {
            turned[(i + 4 * (i & 3)) & 15] = restore[state[i]];
        }
        memcpy(state, turned, 16);
        add(state, round_keys[round]);
        for (int column = 0; round != 0 && column < 4; column++) {
            unmix_column(state + 4 * column);
        }
    }
}

void tmebox_tme_plain_tweaks(const struct tme_key *key, uint64_t address, size_t count, uint64_t (*tweaks)[2]) {
    for (size_t i = 0; i < count; i++) {
        uint64_t block[2] = {address + TME_LINE * i, 0};
        encrypt_block(key->tweak, key->rounds, (uint8_t *)block);
        memcpy(tweaks[i], block, 16);
    }
}

/* One line: four blocks, each between two additions of the tweak, which doubles from block to block. */
static void xts_line(const struct tme_key *key, const uint64_t tweak[2], const uint8_t *from, uint8_t *to, bool decrypt) {
    uint64_t t[2] = {tweak[0], tweak[1]};
    for (int i = 0; i < 4; i++) {
        uint64_t block[2];
        memcpy(block, from + 16 * i, 16);
        block[0] ^= t[0], block[1] ^= t[1];
        (decrypt ? decrypt_block : encrypt_block)(key->data, key->rounds, (uint8_t *)block);
        block[0] ^= t[0], block[1] ^= t[1];
        memcpy(to + 16 * i, block, 16);
        uint64_t carry = t[1] >> 63;
        t[1] = t[1] << 1 | t[0] >> 63;
        t[0] = t[0] << 1 ^ carry * 0x87;
    }
}

void tmebox_tme_plain_encrypt(const struct tme_key *key, const uint64_t (*tweaks)[2], size_t count, const uint8_t *plain,
                              uint8_t *cipher) {
    for (size_t i = 0; i < count; i++) {
        xts_line(key, tweaks[i], plain + TME_LINE * i, cipher + TME_LINE * i, false);
    }
}

void tmebox_tme_plain_decrypt(const struct tme_key *key, const uint64_t (*tweaks)[2], size_t count, const uint8_t *cipher,
                              uint8_t *plain) {
    for (size_t i = 0; i < count; i++) {
        xts_line(key, tweaks[i], cipher + TME_LINE * i, plain + TME_LINE * i, true);
    }
}
