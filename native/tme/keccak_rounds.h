/* Keccak-f[1600] on lanes of any width, for the files that define LANE and its operations: XOR, XOR5, ROTATE, CHI(a, b, c) =
 * a ^ (~b & c), SAME(constant). It is a template, so it is included once for each width, between definitions. */

/* What to write before and after a permutation of `LANE a[25]`; static, and to be inlined. */
#define KECCAK_THETA(x, left, right) d##x = XOR(c##left, ROTATE(c##right, 1))
#define KECCAK_PI(to, from, x, turn) LANE b##to = ROTATE(XOR(a[from], d##x), turn)
#define KECCAK_CHI(y, p, q, r, s, t)                                                                                              \
    a[y] = CHI(b##p, b##q, b##r), a[y + 1] = CHI(b##q, b##r, b##s), a[y + 2] = CHI(b##r, b##s, b##t),                             \
         a[y + 3] = CHI(b##s, b##t, b##p), a[y + 4] = CHI(b##t, b##p, b##q)

#define KECCAK_ROUND(a, constant)                                                                                                 \
    do {                                                                                                                          \
        LANE c0 = XOR5(a[0], a[5], a[10], a[15], a[20]), c1 = XOR5(a[1], a[6], a[11], a[16], a[21]);                              \
        LANE c2 = XOR5(a[2], a[7], a[12], a[17], a[22]), c3 = XOR5(a[3], a[8], a[13], a[18], a[23]);                              \
        LANE c4 = XOR5(a[4], a[9], a[14], a[19], a[24]), d0, d1, d2, d3, d4;                                                      \
        KECCAK_THETA(0, 4, 1), KECCAK_THETA(1, 0, 2), KECCAK_THETA(2, 1, 3), KECCAK_THETA(3, 2, 4), KECCAK_THETA(4, 3, 0);        \
        LANE b0 = XOR(a[0], d0);                                                                                                  \
        KECCAK_PI(1, 6, 1, 44);                                                                                                   \
        KECCAK_PI(2, 12, 2, 43);                                                                                                  \
        KECCAK_PI(3, 18, 3, 21);                                                                                                  \
        KECCAK_PI(4, 24, 4, 14);                                                                                                  \
        KECCAK_PI(5, 3, 3, 28);                                                                                                   \
        KECCAK_PI(6, 9, 4, 20);                                                                                                   \
        KECCAK_PI(7, 10, 0, 3);                                                                                                   \
        KECCAK_PI(8, 16, 1, 45);                                                                                                  \
        KECCAK_PI(9, 22, 2, 61);                                                                                                  \
        KECCAK_PI(10, 1, 1, 1);                                                                                                   \
        KECCAK_PI(11, 7, 2, 6);                                                                                                   \
        KECCAK_PI(12, 13, 3, 25);                                                                                                 \
        KECCAK_PI(13, 19, 4, 8);                                                                                                  \
        KECCAK_PI(14, 20, 0, 18);                                                                                                 \
        KECCAK_PI(15, 4, 4, 27);                                                                                                  \
        KECCAK_PI(16, 5, 0, 36);                                                                                                  \
        KECCAK_PI(17, 11, 1, 10);                                                                                                 \
        KECCAK_PI(18, 17, 2, 15);                                                                                                 \
        KECCAK_PI(19, 23, 3, 56);                                                                                                 \
        KECCAK_PI(20, 2, 2, 62);                                                                                                  \
        KECCAK_PI(21, 8, 3, 55);                                                                                                  \
        KECCAK_PI(22, 14, 4, 39);                                                                                                 \
        KECCAK_PI(23, 15, 0, 41);                                                                                                 \
        KECCAK_PI(24, 21, 1, 2);                                                                                                  \
        KECCAK_CHI(0, 0, 1, 2, 3, 4);                                                                                             \
        KECCAK_CHI(5, 5, 6, 7, 8, 9);                                                                                             \
        KECCAK_CHI(10, 10, 11, 12, 13, 14);                                                                                       \
        KECCAK_CHI(15, 15, 16, 17, 18, 19);                                                                                       \
        KECCAK_CHI(20, 20, 21, 22, 23, 24);                                                                                       \
        a[0] = XOR(a[0], constant);                                                                                               \
    } while (0)

/* All of it without a loop: an array of lanes whose indices are constants stays in registers. */
#define KECCAK_TWO_ROUNDS(a, n) KECCAK_ROUND(a, CONSTANT(keccak_constants[n])); KECCAK_ROUND(a, CONSTANT(keccak_constants[n + 1]))
#define KECCAK_EIGHT_ROUNDS(a, n)                                                                                                 \
    KECCAK_TWO_ROUNDS(a, n); KECCAK_TWO_ROUNDS(a, n + 2); KECCAK_TWO_ROUNDS(a, n + 4); KECCAK_TWO_ROUNDS(a, n + 6)
#define KECCAK_ALL_ROUNDS(a) KECCAK_EIGHT_ROUNDS(a, 0); KECCAK_EIGHT_ROUNDS(a, 8); KECCAK_EIGHT_ROUNDS(a, 16)

#ifndef TMEBOX_KECCAK_CONSTANTS
#define TMEBOX_KECCAK_CONSTANTS
#include <stdint.h>
#include <string.h>

/* Facts of FIPS 202: bits of a linear feedback shift register. */
static const uint64_t keccak_constants[24] = {
    0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000, 0x000000000000808b, 0x0000000080000001,
    0x8000000080008081, 0x8000000000008009, 0x000000000000008a, 0x0000000000000088, 0x0000000080008009, 0x000000008000000a,
    0x000000008000808b, 0x800000000000008b, 0x8000000000008089, 0x8000000000008003, 0x8000000000008002, 0x8000000000000080,
    0x000000000000800a, 0x800000008000000a, 0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
};

/* A MAC's message is 97 bytes: key, cipher text, tweak, TD bit. This is the lane with the TD bit and the first byte of
 * padding, and the last lane of the block with the last bit of padding. */
#define KECCAK_TD_LANE(td) ((uint64_t)(td) | 0x0600)
#define KECCAK_LAST 0x8000000000000000
#define KECCAK_LAST_LANE 16

/* The MAC of one line, by a permutation of a state in memory. */
static inline uint32_t tmebox_tme_mac_by(void (*permute)(uint64_t *), const uint64_t mac_key[2], const uint64_t tweak[2],
                                         uint32_t td, const uint8_t *cipher) {
    uint64_t lanes[25] = {mac_key[0], mac_key[1]};
    memcpy(lanes + 2, cipher, TME_LINE);
    memcpy(lanes + 10, tweak, 16);
    lanes[12] = KECCAK_TD_LANE(td);
    lanes[KECCAK_LAST_LANE] = KECCAK_LAST;
    permute(lanes);
    return (uint32_t)lanes[0] & ((1U << TME_MAC_BITS) - 1);
}
#endif
