/* The memory path: an access finds its lines in the cache or brings them, and lines leave it through the encryption engine. The
 * order of steps is the model's own, and the reference has the same: aliases, place, load, fill. */
#include "tme/machine.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum purpose { TO_READ, TO_CHANGE, TO_REPLACE };

static void *map(size_t size) {
    void *found = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return found == MAP_FAILED ? NULL : found;
}

bool tmebox_tme_machine_new(struct tme_machine *machine, uint64_t size, size_t sets, size_t ways, uint32_t replacement,
                            uint64_t seed, size_t room) {
    machine->lines = size / TME_LINE;
    machine->dram = map(size);
    machine->side = map(machine->lines * sizeof *machine->side);
    machine->events = room != 0 ? calloc(room, sizeof *machine->events) : NULL;
    machine->room = room;
    if (!tmebox_tme_cache_new(&machine->cache, sets, ways, replacement, seed)) {
        return false;
    }
    tmebox_tme_layout(machine, 52, 0, 1, tmebox_tme_keys_new(0));
    return machine->dram != NULL && machine->side != NULL && (room == 0 || machine->events != NULL) &&
           machine->keys != NULL;
}

void tmebox_tme_machine_free(struct tme_machine *machine) {
    if (machine->dram != NULL) {
        munmap(machine->dram, machine->lines * TME_LINE);
    }
    if (machine->side != NULL) {
        munmap(machine->side, machine->lines * sizeof *machine->side);
    }
    free(machine->events);
    free(machine->keys);
    tmebox_tme_cache_free(&machine->cache);
}

struct tme_key *tmebox_tme_keys_new(uint32_t key_bits) {
    size_t size = sizeof(struct tme_key) << key_bits;
    struct tme_key *keys = aligned_alloc(_Alignof(struct tme_key), size);
    return keys != NULL ? memset(keys, 0, size) : NULL;
}

struct tme_key *tmebox_tme_layout(struct tme_machine *machine, uint32_t address_bits, uint32_t key_bits,
                                  uint32_t first_private, struct tme_key *keys) {
    struct tme_key *former = machine->keys;
    for (size_t place = 0; place < machine->cache.sets * machine->cache.ways; place++) {
        uint32_t key_id;
        uint64_t line;
        if (tmebox_tme_cache_holds(&machine->cache, place, &key_id, &line) && key_id >> key_bits != 0) {
            tmebox_tme_cache_drop(&machine->cache, place); /* there is no key that it could leave with */
        }
    }
    machine->keys = keys;
    machine->address_bits = address_bits;
    machine->key_bits = key_bits;
    machine->key_shift = address_bits - key_bits;
    machine->first_private = first_private;
    machine->last_key = (1U << key_bits) - 1;
    return former;
}

static void write_back(struct tme_machine *machine, size_t place) {
    uint32_t key_id;
    uint64_t line;
    if (tmebox_tme_cache_holds(&machine->cache, place, &key_id, &line) && machine->cache.flags[place] & TME_DIRTY) {
        tmebox_tme_note(machine, TME_WRITE_BACK, key_id, line);
        tmebox_tme_store(machine, key_id, line, machine->cache.data + place * TME_LINE);
        machine->cache.flags[place] &= (uint8_t)~TME_DIRTY;
    }
}

static void leave(struct tme_machine *machine, size_t place, enum tme_event_kind why) {
    uint32_t key_id;
    uint64_t line;
    if (tmebox_tme_cache_holds(&machine->cache, place, &key_id, &line)) {
        tmebox_tme_note(machine, why, key_id, line);
        write_back(machine, place);
        tmebox_tme_cache_drop(&machine->cache, place);
    }
}

/* What the cache holds of the line under other KeyIDs. Nothing is done about it where aliases are not coherent. */
static enum tme_outcome settle_aliases(struct tme_machine *machine, uint32_t key_id, uint64_t line) {
    if (!machine->coherent && !machine->aliases_forbidden) {
        return TME_DONE;
    }
    size_t first = line % machine->cache.sets * machine->cache.ways;
    for (size_t place = first; place < first + machine->cache.ways; place++) {
        uint32_t other;
        uint64_t cached;
        if (tmebox_tme_cache_holds(&machine->cache, place, &other, &cached) && cached == line && other != key_id) {
            if (machine->aliases_forbidden) {
                return TME_ALIAS;
            }
            leave(machine, place, TME_ALIAS_FLUSH);
        }
    }
    return TME_DONE;
}

/* Bring (key_id, line) into the cache. The paper's rule: only reads are checked, and nothing is poisoned. The
 * specification's: whatever is read is checked, and what is wrong stays poisoned until a whole line is stored. */
static enum tme_outcome bring(struct tme_machine *machine, uint32_t key_id, uint64_t line, enum purpose purpose,
                              size_t *found) {
    struct tme_cache *cache = &machine->cache;
    size_t place = tmebox_tme_cache_find(cache, key_id, line);
    if (place != TME_NOWHERE) {
        tmebox_tme_note(machine, TME_HIT, key_id, line);
        tmebox_tme_cache_touch(cache, place);
        *found = place;
        if (cache->flags[place] & TME_POISONED && purpose != TO_REPLACE) {
            tmebox_tme_note(machine, TME_POISON_USED, key_id, line);
            return TME_POISON;
        }
        return TME_DONE;
    }
    tmebox_tme_note(machine, TME_MISS, key_id, line);
    enum tme_outcome outcome = settle_aliases(machine, key_id, line);
    if (outcome != TME_DONE) {
        return outcome;
    }
    place = tmebox_tme_cache_place(cache, line);
    leave(machine, place, TME_EVICT);
    uint8_t *data = cache->data + place * TME_LINE;
    if (purpose != TO_REPLACE) {
        if (purpose == TO_CHANGE) {
            tmebox_tme_note(machine, TME_OWNERSHIP_READ, key_id, line);
        }
        outcome = tmebox_tme_load(machine, key_id, line, data);
        if (outcome != TME_DONE && machine->paper) {
            if (purpose == TO_READ || outcome == TME_POISON) {
                return outcome;
            }
            outcome = TME_DONE;
        } else if (outcome != TME_DONE) {
            memset(data, 0, TME_LINE);
            if (outcome != TME_POISON) {
                tmebox_tme_poison(machine, key_id, line);
            }
        }
    }
    tmebox_tme_cache_fill(cache, place, key_id, line, outcome == TME_DONE ? 0 : TME_POISONED);
    *found = place;
    return outcome;
}

/* The line number and KeyID of an access of `size` bytes. */
static enum tme_outcome split(const struct tme_machine *machine, uint64_t address, int64_t key_id, size_t size,
                              uint64_t *physical, uint32_t *key) {
    if (machine->address_bits < 64 && address >> machine->address_bits != 0) {
        return TME_OUTSIDE;
    }
    uint64_t in_address = machine->key_bits != 0 ? address >> machine->key_shift : 0;
    *physical = machine->key_bits != 0 ? address & ((1ULL << machine->key_shift) - 1) : address;
    *key = (uint32_t)in_address;
    if (key_id >= 0) {
        if (in_address != 0 && in_address != (uint64_t)key_id) {
            return TME_KEY_TWICE;
        }
        if (key_id >> machine->key_bits != 0) {
            *key = (uint32_t)key_id;
            return TME_KEY_RANGE;
        }
        *key = (uint32_t)key_id;
    }
    if (*key > machine->last_key) {
        return TME_KEY_RANGE;
    }
    if (*key >= machine->first_private && !machine->seam) {
        return TME_PRIVATE;
    }
    uint64_t end = machine->lines * TME_LINE;
    return *physical > end || size > end - *physical ? TME_OUTSIDE : TME_DONE;
}

static struct tme_fault fault(enum tme_outcome outcome, uint64_t physical, uint32_t key) {
    return (struct tme_fault){outcome, physical & ~(uint64_t)(TME_LINE - 1), key};
}

struct tme_fault tmebox_tme_read(struct tme_machine *machine, uint64_t address, int64_t key_id, uint8_t *to, size_t size) {
    uint64_t physical = address;
    uint32_t key = 0;
    enum tme_outcome outcome = split(machine, address, key_id, size, &physical, &key);
    while (outcome == TME_DONE && size != 0) {
        size_t inside = physical % TME_LINE, now = TME_LINE - inside < size ? TME_LINE - inside : size, place = TME_NOWHERE;
        uint64_t line = physical / TME_LINE;
        tmebox_tme_note(machine, TME_READ, key, line);
        outcome = bring(machine, key, line, TO_READ, &place);
        if (outcome == TME_DONE) {
            memcpy(to, machine->cache.data + place * TME_LINE + inside, now);
            to += now, physical += now, size -= now;
        }
        if (machine->uncached && place != TME_NOWHERE) {
            leave(machine, place, TME_EVICT);
        }
    }
    return fault(outcome, physical, key);
}

struct tme_fault tmebox_tme_write(struct tme_machine *machine, uint64_t address, int64_t key_id, const uint8_t *from,
                                  size_t size) {
    uint64_t physical = address;
    uint32_t key = 0;
    enum tme_outcome outcome = split(machine, address, key_id, size, &physical, &key);
    while (outcome == TME_DONE && size != 0) {
        size_t inside = physical % TME_LINE, now = TME_LINE - inside < size ? TME_LINE - inside : size, place = TME_NOWHERE;
        uint64_t line = physical / TME_LINE;
        tmebox_tme_note(machine, TME_WRITE, key, line);
        outcome = bring(machine, key, line, machine->paper && now == TME_LINE ? TO_REPLACE : TO_CHANGE, &place);
        if (outcome == TME_DONE) {
            memcpy(machine->cache.data + place * TME_LINE + inside, from, now);
            machine->cache.flags[place] |= TME_DIRTY;
            from += now, physical += now, size -= now;
        }
        if (machine->uncached && place != TME_NOWHERE) {
            leave(machine, place, TME_EVICT);
        }
    }
    return fault(outcome, physical, key);
}

struct tme_fault tmebox_tme_direct(struct tme_machine *machine, uint64_t address, int64_t key_id, const uint8_t *from) {
    uint64_t physical = address;
    uint32_t key = 0;
    enum tme_outcome outcome = split(machine, address, key_id, TME_LINE, &physical, &key);
    if (outcome != TME_DONE) {
        return fault(outcome, physical, key);
    }
    uint64_t line = physical / TME_LINE;
    tmebox_tme_note(machine, TME_DIRECT_STORE, key, line);
    outcome = settle_aliases(machine, key, line);
    if (outcome == TME_DONE) {
        size_t place = tmebox_tme_cache_find(&machine->cache, key, line);
        if (place != TME_NOWHERE) { /* all of it is replaced, so nothing is written back */
            tmebox_tme_note(machine, TME_INVALIDATE, key, line);
            tmebox_tme_cache_drop(&machine->cache, place);
        }
        tmebox_tme_store(machine, key, line, from);
    }
    return fault(outcome, physical, key);
}

struct tme_fault tmebox_tme_flush(struct tme_machine *machine, uint64_t address, int64_t key_id, size_t size) {
    uint64_t physical = address;
    uint32_t key = 0;
    enum tme_outcome outcome = split(machine, address, key_id, size, &physical, &key);
    for (uint64_t line = physical / TME_LINE; outcome == TME_DONE && size != 0 && line <= (physical + size - 1) / TME_LINE;
         line++) {
        size_t place = tmebox_tme_cache_find(&machine->cache, key, line);
        if (place != TME_NOWHERE) {
            leave(machine, place, TME_FLUSH);
        }
    }
    return fault(outcome, physical, key);
}

void tmebox_tme_flush_all(struct tme_machine *machine) {
    for (size_t place = 0; place < machine->cache.sets * machine->cache.ways; place++) {
        leave(machine, place, TME_FLUSH);
    }
}

void tmebox_tme_forget(struct tme_machine *machine) {
    for (size_t place = 0; place < machine->cache.sets * machine->cache.ways; place++) {
        tmebox_tme_cache_drop(&machine->cache, place);
    }
}

struct tme_fault tmebox_tme_drive(struct tme_machine *machine, uint64_t accesses, uint64_t start, uint64_t span,
                                  uint32_t key_id, uint32_t write_every, uint64_t seed) {
    struct tme_fault last = {TME_DONE, 0, 0};
    uint64_t word = 0;
    for (uint64_t i = 0; i < accesses && last.outcome == TME_DONE; i++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        uint64_t address = start + seed % (span / 8) * 8;
        if (write_every != 0 && i % write_every == 0) {
            last = tmebox_tme_write(machine, address, key_id, (const uint8_t *)&seed, sizeof seed);
        } else {
            last = tmebox_tme_read(machine, address, key_id, (uint8_t *)&word, sizeof word);
        }
    }
    return last;
}
