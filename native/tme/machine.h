/* The machine that the model is of: DRAM with its MACs, a cache whose lines are tagged by (KeyID, line), and the table of keys
 * between them. No Python here; what went wrong is a value, and the face raises it.
 *
 * Who calls anything here has the machine to itself, see lock.c; for pages.c, whose lines nobody else is at, it is enough to
 * share it. Meanwhile no Python code runs, and nothing is touched that a heap's fault handler would have to bring first. */
#ifndef TMEBOX_TME_MACHINE_H
#define TMEBOX_TME_MACHINE_H

#include "tme/tme.h"

#include <stdatomic.h>

/* What an access can end in. Names: src/tmebox/tme/faults.py. */
enum tme_outcome {
    TME_DONE,
    TME_INTEGRITY,   /* the MAC in DRAM is not the one that the KeyID's key gives */
    TME_TD_MISMATCH, /* a private KeyID reads a line that none wrote */
    TME_POISON,      /* the line was found bad before */
    TME_OUTSIDE,     /* no memory at this address */
    TME_KEY_RANGE,   /* no such KeyID */
    TME_KEY_TWICE,   /* a KeyID in the address, and another one beside it */
    TME_PRIVATE,     /* a private KeyID outside of SEAM */
    TME_ALIAS,       /* the line is cached under another KeyID, and this part forbids that */
};

/* What happens, in the words of machine.trace(). Names: src/tmebox/tme/events.py. */
enum tme_event_kind {
    TME_READ,
    TME_WRITE,
    TME_DIRECT_STORE,
    TME_FLUSH,
    TME_HIT,
    TME_MISS,
    TME_OWNERSHIP_READ,
    TME_DECRYPT,
    TME_ENCRYPT,
    TME_PLAIN_LOAD,
    TME_PLAIN_STORE,
    TME_MAC_MATCH,
    TME_MAC_MISMATCH,
    TME_TD_WRONG,
    TME_TD_HIDDEN,
    TME_WRITE_BACK,
    TME_EVICT,
    TME_INVALIDATE,
    TME_ALIAS_FLUSH,
    TME_POISON_SET,
    TME_POISON_USED,
    TME_POISON_CLEARED,
    TME_EVENTS,
};

struct tme_event {
    uint64_t number, address; /* of the line, without KeyID */
    uint32_t key_id;
    uint32_t kind;
};

/* Beside each line in DRAM: its MAC, and two bits. */
#define TME_SIDE_MAC ((1U << TME_MAC_BITS) - 1)
#define TME_SIDE_TD (1U << 28)
#define TME_SIDE_POISON (1U << 29)

#define TME_MOST_KEY_BITS 15

enum tme_replacement { TME_LRU, TME_FIFO, TME_RANDOM, TME_TREE };

struct tme_cache {
    size_t sets, ways;
    uint32_t replacement;
    uint64_t clock, random;
    uint64_t *tags, *stamps, *trees;
    uint8_t *flags, *data;
};
#define TME_DIRTY 1
#define TME_POISONED 2
#define TME_NOWHERE ((size_t)-1)

struct tme_machine {
    _Atomic uint32_t users; /* lock.c */
    const struct tme_path *path;
    uint8_t *dram;
    uint32_t *side;
    uint64_t lines;
    struct tme_cache cache;
    bool uncached, coherent, aliases_forbidden, paper, seam;
    uint32_t mac_mask;
    uint32_t address_bits, key_bits, key_shift, first_private, last_key;
    struct tme_key *keys; /* 2^key_bits; KeyID 0 is the platform's key */
    uint64_t mac_key[2];
    bool excluding;
    uint64_t exclude_base, exclude_mask;
    uint64_t counters[TME_EVENTS], number;
    struct tme_event *events;
    size_t room; /* events kept, a power of two or 0 */
};

struct tme_fault {
    enum tme_outcome outcome;
    uint64_t address; /* of the line, without KeyID */
    uint32_t key_id;
};

/* lock.c. Usable in signal handlers. A thread has it once, and no lock of a heap is taken while it has. */
void tmebox_tme_share(struct tme_machine *machine);
void tmebox_tme_unshare(struct tme_machine *machine);
void tmebox_tme_lock(struct tme_machine *machine);
void tmebox_tme_unlock(struct tme_machine *machine);
void tmebox_tme_unlock_after_fork(struct tme_machine *machine); /* threads that had it are not in this process */

/* cache.c. Where (key_id, line) is, or TME_NOWHERE. Where it would go; the place may hold another line. */
bool tmebox_tme_cache_new(struct tme_cache *cache, size_t sets, size_t ways, uint32_t replacement, uint64_t seed);
void tmebox_tme_cache_free(struct tme_cache *cache);
size_t tmebox_tme_cache_find(const struct tme_cache *cache, uint32_t key_id, uint64_t line);
size_t tmebox_tme_cache_place(struct tme_cache *cache, uint64_t line);
void tmebox_tme_cache_fill(struct tme_cache *cache, size_t place, uint32_t key_id, uint64_t line, uint8_t flags);
void tmebox_tme_cache_touch(struct tme_cache *cache, size_t place);
bool tmebox_tme_cache_holds(const struct tme_cache *cache, size_t place, uint32_t *key_id, uint64_t *line);
void tmebox_tme_cache_drop(struct tme_cache *cache, size_t place);

/* dram.c. Behind the memory controller. `load` gives what the key makes of the line even where it says that it is wrong. */
void tmebox_tme_note(struct tme_machine *machine, enum tme_event_kind kind, uint32_t key_id, uint64_t line);
enum tme_outcome tmebox_tme_load(struct tme_machine *machine, uint32_t key_id, uint64_t line, uint8_t *data);
void tmebox_tme_store(struct tme_machine *machine, uint32_t key_id, uint64_t line, const uint8_t *data);
/* Whether a read under the KeyID would find a MAC that fits. Notes and changes nothing. */
bool tmebox_tme_verifies(const struct tme_machine *machine, uint32_t key_id, uint64_t line);
void tmebox_tme_poison(struct tme_machine *machine, uint32_t key_id, uint64_t line);

/* pages.c. At most 64 lines from `line` on, past the cache. load: bit i of the answer: line i cannot be read under the
 * KeyID, and zeros stand for it. Both may run in a fault handler; the KeyID and the lines are there, and nobody else is at
 * them. plain does not overlap DRAM. */
uint64_t tmebox_tme_load_lines(const struct tme_machine *machine, uint32_t key_id, uint64_t line, size_t count,
                               uint8_t *plain);
/* What storing them would put into DRAM. */
void tmebox_tme_cipher_of(const struct tme_machine *machine, uint32_t key_id, uint64_t line, size_t count,
                          const uint8_t *plain, uint8_t *cipher, uint32_t *macs);
void tmebox_tme_store_lines(struct tme_machine *machine, uint32_t key_id, uint64_t line, size_t count,
                            const uint8_t *plain);

/* machine.c. key_id: -1 if it is in the address only. */
bool tmebox_tme_machine_new(struct tme_machine *machine, uint64_t size, size_t sets, size_t ways, uint32_t replacement,
                            uint64_t seed, size_t room);
void tmebox_tme_machine_free(struct tme_machine *machine);
/* 2^key_bits keys, all plain text, or NULL. */
struct tme_key *tmebox_tme_keys_new(uint32_t key_bits);
/* How addresses are divided, and the key of each KeyID: they become the machine's. Its former ones are the caller's. */
struct tme_key *tmebox_tme_layout(struct tme_machine *machine, uint32_t address_bits, uint32_t key_bits,
                                  uint32_t first_private, struct tme_key *keys);
struct tme_fault tmebox_tme_read(struct tme_machine *machine, uint64_t address, int64_t key_id, uint8_t *to, size_t size);
struct tme_fault tmebox_tme_write(struct tme_machine *machine, uint64_t address, int64_t key_id, const uint8_t *from,
                                  size_t size);
struct tme_fault tmebox_tme_direct(struct tme_machine *machine, uint64_t address, int64_t key_id, const uint8_t *from);
struct tme_fault tmebox_tme_flush(struct tme_machine *machine, uint64_t address, int64_t key_id, size_t size);
void tmebox_tme_flush_all(struct tme_machine *machine);
void tmebox_tme_forget(struct tme_machine *machine); /* what a reset does to the cache: gone, and not written back */
/* A loop of accesses of 8 bytes at random places among `span` bytes, one in `write_every` a write: for measuring. */
struct tme_fault tmebox_tme_drive(struct tme_machine *machine, uint64_t accesses, uint64_t start, uint64_t span,
                                  uint32_t key_id, uint32_t write_every, uint64_t seed);

#endif
