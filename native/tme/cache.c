/* The cache: which lines it holds, and which one leaves. A tag is a KeyID and a line, so one line of memory can be here under
 * several KeyIDs. The KeyID is no part of the set's number, so all of them are in one set. */
#include "tme/machine.h"

#include <stdlib.h>
#include <string.h>

#define KEY_SHIFT 48
#define VALID (1ULL << 47)

static uint64_t tag_of(uint32_t key_id, uint64_t line) {
    return (uint64_t)key_id << KEY_SHIFT | VALID | line;
}

bool tmebox_tme_cache_new(struct tme_cache *cache, size_t sets, size_t ways, uint32_t replacement, uint64_t seed) {
    size_t places = sets * ways;
    *cache = (struct tme_cache){.sets = sets, .ways = ways, .replacement = replacement, .random = seed | 1};
    cache->tags = calloc(places, sizeof *cache->tags);
    cache->stamps = calloc(places, sizeof *cache->stamps);
    cache->trees = calloc(sets, sizeof *cache->trees);
    cache->flags = calloc(places, 1);
    cache->data = calloc(places, TME_LINE);
    return cache->tags != NULL && cache->stamps != NULL && cache->trees != NULL && cache->flags != NULL &&
           cache->data != NULL;
}

void tmebox_tme_cache_free(struct tme_cache *cache) {
    free(cache->tags);
    free(cache->stamps);
    free(cache->trees);
    free(cache->flags);
    free(cache->data);
}

size_t tmebox_tme_cache_find(const struct tme_cache *cache, uint32_t key_id, uint64_t line) {
    uint64_t tag = tag_of(key_id, line);
    size_t first = line % cache->sets * cache->ways;
    for (size_t place = first; place < first + cache->ways; place++) {
        if (cache->tags[place] == tag) {
            return place;
        }
    }
    return TME_NOWHERE;
}

bool tmebox_tme_cache_holds(const struct tme_cache *cache, size_t place, uint32_t *key_id, uint64_t *line) {
    uint64_t tag = cache->tags[place];
    *key_id = (uint32_t)(tag >> KEY_SHIFT);
    *line = tag & (VALID - 1);
    return tag != 0;
}

/* A tree of bits over the ways: each points to the half that was used longer ago. */
static size_t tree_victim(uint64_t tree, size_t ways) {
    size_t node = 1;
    while (node < ways) {
        node = 2 * node + (tree >> node & 1);
    }
    return node - ways;
}

static uint64_t tree_used(uint64_t tree, size_t ways, size_t way) {
    for (size_t node = way + ways; node > 1; node /= 2) {
        uint64_t bit = 1ULL << (node / 2);
        tree = node & 1 ? tree & ~bit : tree | bit;
    }
    return tree;
}

size_t tmebox_tme_cache_place(struct tme_cache *cache, uint64_t line) {
    size_t set = line % cache->sets, first = set * cache->ways, oldest = first;
    for (size_t place = first; place < first + cache->ways; place++) {
        if (cache->tags[place] == 0) {
            return place;
        }
        if (cache->stamps[place] < cache->stamps[oldest]) {
            oldest = place;
        }
    }
    if (cache->replacement == TME_RANDOM) { /* xorshift64 */
        cache->random ^= cache->random << 13;
        cache->random ^= cache->random >> 7;
        cache->random ^= cache->random << 17;
        return first + cache->random % cache->ways;
    }
    if (cache->replacement == TME_TREE) {
        return first + tree_victim(cache->trees[set], cache->ways);
    }
    return oldest;
}

void tmebox_tme_cache_touch(struct tme_cache *cache, size_t place) {
    if (cache->replacement == TME_LRU) {
        cache->stamps[place] = ++cache->clock;
    } else if (cache->replacement == TME_TREE) {
        size_t set = place / cache->ways;
        cache->trees[set] = tree_used(cache->trees[set], cache->ways, place % cache->ways);
    }
}

void tmebox_tme_cache_fill(struct tme_cache *cache, size_t place, uint32_t key_id, uint64_t line, uint8_t flags) {
    cache->tags[place] = tag_of(key_id, line);
    cache->flags[place] = flags;
    cache->stamps[place] = ++cache->clock;
    tmebox_tme_cache_touch(cache, place);
}

void tmebox_tme_cache_drop(struct tme_cache *cache, size_t place) {
    cache->tags[place] = 0;
    cache->flags[place] = 0;
}
