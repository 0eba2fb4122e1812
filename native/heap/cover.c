/* Lines that go between the heap's memory, where they are plain text, and a machine's DRAM, where they are cipher text. */
#include "heap/cover.h"

#include <string.h>

#define AT_ONCE 32 /* lines at a time that a signal handler's stack has room for */

/* The next lines of the mask in a row that have one owner, from its lowest bit on. */
static unsigned row(uint64_t lines, const uint16_t *owners, unsigned *first) {
    unsigned start = (unsigned)__builtin_ctzll(lines), end = start + 1;
    while (end < LINES && (lines >> end & 1) && owners[end] == owners[start]) {
        end++;
    }
    *first = start;
    return end - start;
}

/* The machine is shared. Bit i: line i cannot be read, and zeros stand for it. A machine that was reset may have no such
 * KeyID any more. */
static uint64_t load(const struct heap *heap, uint16_t key, uint64_t line, unsigned count, unsigned char *plain) {
    if (key > heap->machine->last_key) {
        memset(plain, 0, (size_t)count * LINE);
        return bits(0, count);
    }
    return tmebox_tme_load_lines(heap->machine, key, line, count, plain);
}

uint64_t tmebox_cover_load(const struct heap *heap, uint16_t key, uint64_t line, unsigned count, unsigned char *plain) {
    tmebox_tme_share(heap->machine);
    uint64_t wrong = load(heap, key, line, count, plain);
    tmebox_tme_unshare(heap->machine);
    return wrong;
}

static void poison(const struct heap *heap, uint64_t line, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        heap->machine->side[line + i] |= TME_SIDE_POISON;
    }
}

void tmebox_cover_poison(const struct heap *heap, uint64_t line, unsigned count) {
    tmebox_tme_share(heap->machine);
    poison(heap, line, count);
    tmebox_tme_unshare(heap->machine);
}

void tmebox_cover_owners_of(const struct heap *heap, uint32_t page, uint16_t owners[LINES]) {
    for (unsigned line = 0; line < LINES; line++) {
        owners[line] = tmebox_heap_owner(heap, page, line);
    }
}

/* As a cache writes back only what is dirty: what was not changed since it was opened is not stored, and what somebody
 * did to DRAM meanwhile stays there to be found. */
static uint64_t digest_of(const unsigned char *cipher) {
    uint64_t words[LINE / 8], sum = 1;
    memcpy(words, cipher, LINE);
    for (unsigned i = 0; i < LINE / 8; i++) {
        sum = (sum ^ words[i]) * 0x9e3779b97f4a7c15;
        sum ^= sum >> 29;
    }
    return sum | 1;
}

static uint64_t digest(const struct heap *heap, uint64_t line) {
    return digest_of(heap->machine->dram + line * LINE);
}

/* Decrypts what of these lines is in DRAM only. Those that do not verify stay there. */
void tmebox_cover_open_lines(struct heap *heap, uint32_t page, uint64_t lines, const uint16_t *owners) {
    struct heap_cover *cover = &heap->covers[page];
    lines &= cover->sealed;
    while (lines != 0) {
        unsigned first, count = row(lines, owners, &first);
        tmebox_tme_share(heap->machine);
        uint64_t wrong = load(heap, owners[first], (uint64_t)page * LINES + first, count, at(heap, page, first));
        for (unsigned i = first; i < first + count; i++) {
            cover->digests[i] = digest(heap, (uint64_t)page * LINES + i);
        }
        tmebox_tme_unshare(heap->machine);
        cover->sealed &= ~(bits(first, count) & ~(wrong << first));
        lines &= ~bits(first, count);
    }
}

/* The machine is shared. */
static void store_row(struct heap *heap, uint32_t page, unsigned first, unsigned count, uint16_t key) {
    struct tme_machine *machine = heap->machine;
    uint64_t line = (uint64_t)page * LINES + first, *digests = &heap->covers[page].digests[first];
    unsigned char before[AT_ONCE * LINE];
    uint32_t side[AT_ONCE];
    memcpy(before, machine->dram + line * LINE, (size_t)count * LINE);
    memcpy(side, machine->side + line, count * sizeof *side);
    tmebox_tme_store_lines(machine, key, line, count, at(heap, page, first));
    for (unsigned i = 0; i < count; i++) {
        uint64_t now = digest(heap, line + i);
        if (now == digests[i]) {
            memcpy(machine->dram + (line + i) * LINE, before + i * LINE, LINE);
            machine->side[line + i] = side[i];
        }
        digests[i] = now;
    }
}

void tmebox_cover_store(struct heap *heap, uint32_t page, uint64_t lines, const uint16_t *owners) {
    while (lines != 0) {
        unsigned first, count = row(lines, owners, &first);
        count = count < AT_ONCE ? count : AT_ONCE;
        tmebox_tme_share(heap->machine);
        if (owners[first] <= heap->machine->last_key) {
            store_row(heap, page, first, count, owners[first]);
        } else {
            poison(heap, (uint64_t)page * LINES + first, count);
        }
        tmebox_tme_unshare(heap->machine);
        lines &= ~bits(first, count);
    }
}

void tmebox_cover_close_lines(struct heap *heap, uint32_t page, const uint16_t *owners) {
    struct heap_cover *cover = &heap->covers[page];
    uint64_t lines = ~cover->sealed;
    tmebox_cover_store(heap, page, lines, owners);
    for (uint64_t rest = lines; rest != 0;) {
        unsigned first, count = row(rest, owners, &first);
        memset(at(heap, page, first), 0, (size_t)count * LINE);
        rest &= ~bits(first, count);
    }
    cover->sealed = ALL;
    cover->stored = 0;
}

/* A line that verifies, of which DRAM has other bytes than were stored: who reads it next gets those, as from a cache that
 * had written it back. Unless somebody has written it meanwhile: then it is dirty, and stays. The machine is shared. */
static void take_changed(struct heap *heap, uint32_t page, unsigned line, uint16_t key, const unsigned char *plain) {
    struct heap_cover *cover = &heap->covers[page];
    uint64_t number = (uint64_t)page * LINES + line, now = digest(heap, number);
    unsigned char cipher[LINE];
    uint32_t mac;
    if (now == cover->digests[line]) {
        return;
    }
    tmebox_tme_cipher_of(heap->machine, key, number, 1, at(heap, page, line), cipher, &mac);
    if (digest_of(cipher) == cover->digests[line]) {
        memcpy(at(heap, page, line), plain, LINE);
        cover->digests[line] = now;
    }
}

/* What was written back is looked at again, also where the host has kept it before its eyes. */
void tmebox_cover_check_stored(struct heap *heap, uint32_t page, uint64_t lines, const uint16_t *owners) {
    struct heap_cover *cover = &heap->covers[page];
    unsigned char scratch[AT_ONCE * LINE];
    lines &= cover->stored;
    while (lines != 0) {
        unsigned first, count = row(lines, owners, &first);
        count = count < AT_ONCE ? count : AT_ONCE;
        tmebox_tme_share(heap->machine);
        uint64_t wrong = load(heap, owners[first], (uint64_t)page * LINES + first, count, scratch);
        for (unsigned i = 0; i < count; i++) {
            if (!(wrong >> i & 1)) {
                take_changed(heap, page, first + i, owners[first], scratch + i * LINE);
            }
        }
        tmebox_tme_unshare(heap->machine);
        cover->stored &= ~(bits(first, count) & ~(wrong << first));
        lines &= ~bits(first, count);
    }
}

static bool stays(const struct heap *heap, uint32_t page) {
    const struct heap_cover *cover = &heap->covers[page];
    return cover->shown || cover->looks != 0 || heap->pages[page].owner == HEAP_HOST;
}

void tmebox_cover_settle(struct heap *heap, uint32_t page) {
    if (!stays(heap, page) && heap->covers[page].sealed != ALL) {
        uint16_t owners[LINES];
        tmebox_cover_owners_of(heap, page, owners);
        tmebox_cover_close_lines(heap, page, owners);
    }
}

/* These lines are in the heap's memory, and are what DRAM says. False: not all of them. */
bool tmebox_cover_reveal(struct heap *heap, uint32_t page, uint64_t lines) {
    struct heap_cover *cover = &heap->covers[page];
    if ((lines & (cover->sealed | cover->stored)) != 0) {
        uint16_t owners[LINES];
        tmebox_cover_owners_of(heap, page, owners);
        tmebox_cover_open_lines(heap, page, lines, owners);
        tmebox_cover_check_stored(heap, page, lines, owners);
    }
    return (lines & (cover->sealed | cover->stored)) == 0;
}
