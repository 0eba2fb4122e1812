/* The MAC of one line with AVX-512. One lane in a register leaves half of it empty, and five in one cross the register in
 * every round, which takes longer than what it saves. So two rows share registers: p[x] has the lanes (x, 0) and (x, 1),
 * q[x] has (x, 2) and (x, 3), and s[x] has (x, 4) twice. Then theta's, rho's and chi's steps work on fifteen registers
 * instead of twenty-five, and pi takes one instruction for two lanes, none of which crosses a register's middle. */
#include "tme/tme.h"

#include <immintrin.h>
#include <string.h>

#include "tme/keccak_rounds.h"

#define PAIRS __attribute__((target("avx512f,avx512vl" TME_EVEX512)))

struct state {
    __m128i p[5], q[5], s[5];
};

/* By how much rho turns the lanes of p and q. */
static const _Alignas(16) uint64_t turns_p[5][2] = {{0, 36}, {1, 44}, {62, 6}, {28, 55}, {27, 20}};
static const _Alignas(16) uint64_t turns_q[5][2] = {{3, 41}, {10, 45}, {43, 15}, {25, 21}, {39, 8}};

#define LOW(a, b) _mm_unpacklo_epi64(a, b)
#define HIGH(a, b) _mm_unpackhi_epi64(a, b)
/* For lanes that are there twice: it has more of the CPU's pipes than an unpacking. */
#define BLEND(a, b) _mm_mask_blend_epi64(2, a, b)
#define XOR3(a, b, c) _mm_ternarylogic_epi64(a, b, c, 0x96)
#define CHI(a, b, c) _mm_ternarylogic_epi64(a, b, c, 0xd2)
#define TURN(a, by) _mm_rolv_epi64(a, _mm_load_si128((const __m128i *)(by)))

/* The parity of column x, in both lanes. */
#define PARITY(x)                                                                                                                 \
    __m128i half##x = _mm_xor_si128(a->p[x], a->q[x]);                                                                            \
    __m128i c##x = XOR3(half##x, _mm_shuffle_epi32(half##x, 0x4e), a->s[x]), turned##x = _mm_rol_epi64(c##x, 1)

#define THETA_RHO(x, left, right, turn)                                                                                           \
    __m128i p##x = TURN(XOR3(a->p[x], c##left, turned##right), turns_p[x]);                                                       \
    __m128i q##x = TURN(XOR3(a->q[x], c##left, turned##right), turns_q[x]);                                                       \
    __m128i s##x = _mm_rol_epi64(XOR3(a->s[x], c##left, turned##right), turn)

#define CHI_ROW(to, b)                                                                                                            \
    to[0] = CHI(b##0, b##1, b##2), to[1] = CHI(b##1, b##2, b##3), to[2] = CHI(b##2, b##3, b##4), to[3] = CHI(b##3, b##4, b##0),    \
    to[4] = CHI(b##4, b##0, b##1)

PAIRS static inline __attribute__((always_inline)) void one_round(struct state *a, uint64_t constant) {
    PARITY(0);
    PARITY(1);
    PARITY(2);
    PARITY(3);
    PARITY(4);
    THETA_RHO(0, 4, 1, 18);
    THETA_RHO(1, 0, 2, 2);
    THETA_RHO(2, 1, 3, 61);
    THETA_RHO(3, 2, 4, 56);
    THETA_RHO(4, 3, 0, 14);
    /* Row x becomes column x. */
    __m128i b0 = LOW(p0, p3), b1 = HIGH(p1, p4), b2 = LOW(q2, q0), b3 = HIGH(q3, q1), b4 = BLEND(s4, s2);
    __m128i d0 = LOW(p1, p4), d1 = HIGH(p2, p0), d2 = LOW(q3, q1), d3 = HIGH(q4, q2), d4 = BLEND(s0, s3);
    __m128i e0 = LOW(p2, p2), e1 = HIGH(p3, p3), e2 = LOW(q4, q4), e3 = HIGH(q0, q0), e4 = s1;
    CHI_ROW(a->p, b);
    CHI_ROW(a->q, d);
    CHI_ROW(a->s, e);
    a->p[0] = _mm_xor_si128(a->p[0], _mm_cvtsi64_si128((long long)constant));
}

/* Of the last round, only what makes lane 0. */
PAIRS static inline __attribute__((always_inline)) uint64_t last_lane(const struct state *a) {
    PARITY(0);
    PARITY(1);
    PARITY(2);
    PARITY(3);
    PARITY(4);
    (void)turned0, (void)turned4;
    __m128i b0 = XOR3(a->p[0], c4, turned1);
    __m128i b1 = _mm_rol_epi64(XOR3(HIGH(a->p[1], a->p[1]), c0, turned2), 44);
    __m128i b2 = _mm_rol_epi64(XOR3(a->q[2], c1, turned3), 43);
    return (uint64_t)_mm_cvtsi128_si64(CHI(b0, b1, b2)) ^ keccak_constants[23];
}

PAIRS static inline __attribute__((always_inline)) __m128i pair(uint64_t low, uint64_t high) {
    return _mm_set_epi64x((long long)high, (long long)low);
}

PAIRS uint32_t tmebox_tme_pairs_mac(const uint64_t mac_key[2], const uint64_t tweak[2], uint32_t td,
                                    const uint8_t *cipher) {
    uint64_t c[8];
    memcpy(c, cipher, sizeof c);
    const __m128i zero = _mm_setzero_si128();
    struct state a = {
        .p = {pair(mac_key[0], c[3]), pair(mac_key[1], c[4]), pair(c[0], c[5]), pair(c[1], c[6]), pair(c[2], c[7])},
        .q = {pair(tweak[0], 0), pair(tweak[1], KECCAK_LAST), pair(KECCAK_TD_LANE(td), 0), zero, zero},
        .s = {zero, zero, zero, zero, zero},
    };
    for (int round = 0; round < 23; round++) {
        one_round(&a, keccak_constants[round]);
    }
    return (uint32_t)last_lane(&a) & ((1U << TME_MAC_BITS) - 1);
}

/* For known answers: both ways to end, which must agree. A difference shows as a state that no answer has. */
PAIRS void tmebox_tme_pairs_permute(uint64_t lanes[25]) {
    struct state a;
    for (int x = 0; x < 5; x++) {
        a.p[x] = pair(lanes[x], lanes[5 + x]);
        a.q[x] = pair(lanes[10 + x], lanes[15 + x]);
        a.s[x] = pair(lanes[20 + x], lanes[20 + x]);
    }
    for (int round = 0; round < 23; round++) {
        one_round(&a, keccak_constants[round]);
    }
    uint64_t first = last_lane(&a);
    one_round(&a, keccak_constants[23]);
    for (int x = 0; x < 5; x++) {
        _mm_storel_epi64((__m128i *)&lanes[x], a.p[x]);
        _mm_storel_epi64((__m128i *)&lanes[5 + x], HIGH(a.p[x], a.p[x]));
        _mm_storel_epi64((__m128i *)&lanes[10 + x], a.q[x]);
        _mm_storel_epi64((__m128i *)&lanes[15 + x], HIGH(a.q[x], a.q[x]));
        _mm_storel_epi64((__m128i *)&lanes[20 + x], a.s[x]);
    }
    if (first != lanes[0]) {
        memset(lanes, 0, 25 * sizeof *lanes);
    }
}
