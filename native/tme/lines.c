/* Lines and pages: sealing (encrypt, then MAC) and opening (MAC, decrypt), on any path. */
#include "tme/tme.h"

TME_FAST

#include <string.h>

#define AT_ONCE 64

void tmebox_tme_seal(const struct tme_path *path, const struct tme_key *key, const uint64_t mac_key[2], uint32_t td,
                     uint64_t address, size_t count, const uint8_t *plain, uint8_t *cipher, uint32_t *macs) {
    uint64_t tweaks[AT_ONCE][2];
    for (size_t done = 0; done < count; done += AT_ONCE) {
        size_t now = count - done < AT_ONCE ? count - done : AT_ONCE;
        const uint8_t *from = plain + TME_LINE * done;
        uint8_t *to = cipher + TME_LINE * done;
        if (key->encrypted) {
            path->tweaks(key, address + TME_LINE * done, now, tweaks);
            path->encrypt(key, (const uint64_t (*)[2])tweaks, now, from, to);
        } else {
            memmove(to, from, TME_LINE * now);
        }
        if (key->encrypted && key->integrity) {
            path->macs(mac_key, (const uint64_t (*)[2])tweaks, td, now, to, macs + done);
        } else {
            memset(macs + done, 0, sizeof *macs * now);
        }
    }
}

uint64_t tmebox_tme_open(const struct tme_path *path, const struct tme_key *key, const uint64_t mac_key[2], uint32_t td,
                         uint64_t address, size_t count, const uint8_t *cipher, const uint32_t *macs, uint32_t mac_mask,
                         uint8_t *plain) {
    uint64_t tweaks[AT_ONCE][2], wrong = 0;
    uint32_t expected[AT_ONCE];
    if (!key->encrypted) {
        memmove(plain, cipher, TME_LINE * count);
        return 0;
    }
    path->tweaks(key, address, count, tweaks);
    /* Before the MACs, which the CPU begins meanwhile. */
    path->decrypt(key, (const uint64_t (*)[2])tweaks, count, cipher, plain);
    if (key->integrity) {
        path->macs(mac_key, (const uint64_t (*)[2])tweaks, td, count, cipher, expected);
        for (size_t i = 0; i < count; i++) {
            wrong |= (uint64_t)(((expected[i] ^ macs[i]) & mac_mask) != 0) << i;
        }
    }
    return wrong;
}

static uint64_t next(uint64_t *state) {
    uint64_t x = *state += 0x9e3779b97f4a7c15;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

uint64_t tmebox_tme_forge(const struct tme_path *path, const struct tme_key *key, const uint64_t mac_key[2],
                          uint32_t mac_bits, uint64_t trials, uint64_t seed) {
    uint8_t cipher[TME_LINE * AT_ONCE], plain[TME_LINE * AT_ONCE];
    uint32_t macs[AT_ONCE], mask = mac_bits >= 32 ? ~0U : (1U << mac_bits) - 1;
    uint64_t accepted = 0;
    for (uint64_t done = 0; done < trials; done += AT_ONCE) {
        size_t now = trials - done < AT_ONCE ? (size_t)(trials - done) : AT_ONCE;
        for (size_t i = 0; i < sizeof cipher; i += 8) {
            uint64_t word = next(&seed);
            memcpy(cipher + i, &word, 8);
        }
        for (size_t i = 0; i < AT_ONCE; i++) {
            macs[i] = (uint32_t)next(&seed);
        }
        uint64_t wrong = tmebox_tme_open(path, key, mac_key, 0, next(&seed) >> 12 & ~(uint64_t)4095, now, cipher, macs,
                                         mask, plain);
        accepted += now - (size_t)__builtin_popcountll(wrong);
    }
    return accepted;
}

void tmebox_tme_sha3(const struct tme_path *path, const uint8_t *bytes, size_t size, uint8_t digest[32]) {
    uint64_t lanes[25] = {0};
    uint8_t *state = (uint8_t *)lanes;
    const size_t rate = 136;
    for (;;) {
        size_t now = size < rate ? size : rate;
        for (size_t i = 0; i < now; i++) {
            state[i] ^= bytes[i];
        }
        if (now < rate) {
            state[now] ^= 0x06;
            state[rate - 1] ^= 0x80;
            path->permute(lanes);
            memcpy(digest, lanes, 32);
            return;
        }
        path->permute(lanes);
        bytes += rate, size -= rate;
    }
}
