/* TME-MK's cryptography, and the paths on which this CPU can do it. A line is 64 bytes. It is encrypted with AES-XTS under the
 * KeyID's keys and authenticated with SHA-3-256, cut to 28 bits. Nothing here needs Python, a lock or memory of its own, so
 * a fault handler may call it. Addresses are physical, without their KeyID: it is no part of the tweak. */
#ifndef TMEBOX_TME_H
#define TMEBOX_TME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Some clangs want the registers of 512 bits named apart from the instructions. */
#if defined(__clang__) && __clang_major__ >= 18 && __clang_major__ < 22
#define TME_EVEX512 ",evex512"
#else
#define TME_EVEX512
#endif

/* What -O2 leaves undone here costs a third: copies of arrays that fit into registers. */
#ifdef __clang__
#define TME_FAST
#else
#define TME_FAST _Pragma("GCC optimize(\"O3\")")
#endif

#define TME_LINE 64
#define TME_PAGE_LINES 64
#define TME_MAC_BITS 28

/* What a KeyID does with memory, ready for use. Made by tmebox_tme_expand. */
struct tme_key {
    _Alignas(64) uint8_t data[15][16]; /* round keys, for encryption */
    uint8_t inverse[15][16];           /* the same for decryption with AES-NI */
    uint8_t tweak[15][16];
    uint32_t rounds;
    bool encrypted; /* false: plain text in DRAM */
    bool integrity;
    bool drawn; /* by a heap, for who owns its lines; not programmed */
};

/* One way to compute. `tweaks` encrypts the addresses of `count` lines that follow each other. `macs` works on their
 * cipher text; td is 0 or 1. */
struct tme_path {
    const char *name;
    bool (*usable)(void);
    void (*tweaks)(const struct tme_key *key, uint64_t address, size_t count, uint64_t (*tweaks)[2]);
    void (*encrypt)(const struct tme_key *key, const uint64_t (*tweaks)[2], size_t count, const uint8_t *plain,
                    uint8_t *cipher);
    void (*decrypt)(const struct tme_key *key, const uint64_t (*tweaks)[2], size_t count, const uint8_t *cipher,
                    uint8_t *plain);
    void (*macs)(const uint64_t mac_key[2], const uint64_t (*tweaks)[2], uint32_t td, size_t count, const uint8_t *cipher,
                 uint32_t *macs);
    void (*permute)(uint64_t lanes[25]);
};

/* paths.c. The fastest usable path; the one with that name, or NULL if there is none or this CPU cannot; the n-th. */
const struct tme_path *tmebox_tme_best_path(void);
const struct tme_path *tmebox_tme_path(const char *name);
const struct tme_path *tmebox_tme_path_at(size_t n);

/* aes.c. key_bits is 128 or 256, of each of the two keys. */
void tmebox_tme_expand(struct tme_key *key, uint32_t key_bits, const uint8_t *data_key, const uint8_t *tweak_key);

/* lines.c. Encrypts `count` lines from `address` on. macs[i] becomes line i's MAC, 0 where the key has no integrity. */
void tmebox_tme_seal(const struct tme_path *path, const struct tme_key *key, const uint64_t mac_key[2], uint32_t td,
                     uint64_t address, size_t count, const uint8_t *plain, uint8_t *cipher, uint32_t *macs);
/* Decrypts at most 64 lines, all of them, whether they verify or not, to where they do not overlap. Bit i of the answer: line i does not verify.
 * mac_mask: the bits of a MAC that are compared; 2^28 - 1 in hardware. */
uint64_t tmebox_tme_open(const struct tme_path *path, const struct tme_key *key, const uint64_t mac_key[2], uint32_t td,
                         uint64_t address, size_t count, const uint8_t *cipher, const uint32_t *macs, uint32_t mac_mask,
                         uint8_t *plain);
/* How many of `trials` random cipher texts have the MAC that they are given, cut to mac_bits. */
uint64_t tmebox_tme_forge(const struct tme_path *path, const struct tme_key *key, const uint64_t mac_key[2],
                          uint32_t mac_bits, uint64_t trials, uint64_t seed);
/* SHA-3-256 of any bytes, with the path's permutation. */
void tmebox_tme_sha3(const struct tme_path *path, const uint8_t *bytes, size_t size, uint8_t digest[32]);

/* Shared by the paths; keccak.c, aes.c. */
void tmebox_tme_permute(uint64_t lanes[25]);
void tmebox_tme_macs(const uint64_t mac_key[2], const uint64_t (*tweaks)[2], uint32_t td, size_t count,
                     const uint8_t *cipher, uint32_t *macs);
void tmebox_tme_plain_tweaks(const struct tme_key *key, uint64_t address, size_t count, uint64_t (*tweaks)[2]);
void tmebox_tme_plain_encrypt(const struct tme_key *key, const uint64_t (*tweaks)[2], size_t count, const uint8_t *plain,
                              uint8_t *cipher);
void tmebox_tme_plain_decrypt(const struct tme_key *key, const uint64_t (*tweaks)[2], size_t count, const uint8_t *cipher,
                              uint8_t *plain);
/* aesni.c */
void tmebox_tme_ni_tweaks(const struct tme_key *key, uint64_t address, size_t count, uint64_t (*tweaks)[2]);
void tmebox_tme_ni_encrypt(const struct tme_key *key, const uint64_t (*tweaks)[2], size_t count, const uint8_t *plain,
                           uint8_t *cipher);
void tmebox_tme_ni_decrypt(const struct tme_key *key, const uint64_t (*tweaks)[2], size_t count, const uint8_t *cipher,
                           uint8_t *plain);
/* vaes.c */
void tmebox_tme_vaes_encrypt(const struct tme_key *key, const uint64_t (*tweaks)[2], size_t count, const uint8_t *plain,
                             uint8_t *cipher);
void tmebox_tme_vaes_decrypt(const struct tme_key *key, const uint64_t (*tweaks)[2], size_t count, const uint8_t *cipher,
                             uint8_t *plain);
/* keccak_pairs.c: one line. */
uint32_t tmebox_tme_pairs_mac(const uint64_t mac_key[2], const uint64_t tweak[2], uint32_t td, const uint8_t *cipher);
void tmebox_tme_pairs_permute(uint64_t lanes[25]);
/* keccak_bmi.c: one line at a time. */
void tmebox_tme_bmi_macs(const uint64_t mac_key[2], const uint64_t (*tweaks)[2], uint32_t td, size_t count,
                         const uint8_t *cipher, uint32_t *macs);
void tmebox_tme_bmi_permute(uint64_t lanes[25]);
/* keccak_avx2.c, keccak_avx512.c */
void tmebox_tme_avx2_macs(const uint64_t mac_key[2], const uint64_t (*tweaks)[2], uint32_t td, size_t count,
                          const uint8_t *cipher, uint32_t *macs);
void tmebox_tme_avx2_permute(uint64_t lanes[25]);
void tmebox_tme_avx512_macs(const uint64_t mac_key[2], const uint64_t (*tweaks)[2], uint32_t td, size_t count,
                            const uint8_t *cipher, uint32_t *macs);
void tmebox_tme_avx512_permute(uint64_t lanes[25]);

#endif
