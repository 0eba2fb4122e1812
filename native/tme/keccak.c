/* Keccak-f[1600] and MACs, one line at a time, in portable C. */
#include "tme/tme.h"

#include <string.h>

#include "tme/keccak_rounds.h"

#define LANE uint64_t
#define XOR(a, b) ((a) ^ (b))
#define XOR5(a, b, c, d, e) ((a) ^ (b) ^ (c) ^ (d) ^ (e))
#define ROTATE(a, n) ((a) << (n) | (a) >> (64 - (n)))
#define CHI(a, b, c) ((a) ^ (~(b) & (c)))

void tmebox_tme_permute(uint64_t lanes[25]) {
    uint64_t a[25];
    memcpy(a, lanes, sizeof a);
    for (int round = 0; round < 24; round++) {
        KECCAK_ROUND(a, keccak_constants[round]);
    }
    memcpy(lanes, a, sizeof a);
}

void tmebox_tme_macs(const uint64_t mac_key[2], const uint64_t (*tweaks)[2], uint32_t td, size_t count,
                     const uint8_t *cipher, uint32_t *macs) {
    for (size_t i = 0; i < count; i++) {
        macs[i] = tmebox_tme_mac_by(tmebox_tme_permute, mac_key, tweaks[i], td, cipher + TME_LINE * i);
    }
}
