/* Where the bytes of a heap of the backend `model` are, line by line. All under the group's lock. */
#ifndef TMEBOX_HEAP_COVER_H
#define TMEBOX_HEAP_COVER_H

#include "heap/heap.h"

#define ALL UINT64_MAX

/* Of a page, under its group's lock. */
struct heap_cover {
    uint64_t sealed; /* lines that are in DRAM only */
    uint64_t stored; /* of the others: DRAM has them too, and the next sandbox's look at them is at that */
    uint32_t looks;  /* Python buffers that show it */
    bool shown;      /* some view has it */
    uint64_t digests[LINES]; /* of the cipher text in DRAM when a line was opened or stored; 0: the line is new */
};

static inline uint64_t bits(unsigned first, unsigned count) {
    return (count == LINES ? ALL : (1ULL << count) - 1) << first;
}

static inline unsigned char *at(const struct heap *heap, uint32_t page, unsigned line) {
    return heap->host + ((uint64_t)page * LINES + line) * LINE;
}

/* Bit i: line i cannot be read under the key, and zeros stand for it. */
uint64_t tmebox_cover_load(const struct heap *heap, uint16_t key, uint64_t line, unsigned count, unsigned char *plain);
void tmebox_cover_poison(const struct heap *heap, uint64_t line, unsigned count);
void tmebox_cover_owners_of(const struct heap *heap, uint32_t page, uint16_t owners[LINES]);
/* Decrypts what of these lines is in DRAM only. Those that do not verify stay there. */
void tmebox_cover_open_lines(struct heap *heap, uint32_t page, uint64_t lines, const uint16_t *owners);
/* Encrypts what has changed of these lines, which are in the heap's memory, and leaves them there. */
void tmebox_cover_store(struct heap *heap, uint32_t page, uint64_t lines, const uint16_t *owners);
/* All lines of the page are in DRAM only. */
void tmebox_cover_close_lines(struct heap *heap, uint32_t page, const uint16_t *owners);
/* What was written back is looked at again, also where the host has kept it before its eyes. */
void tmebox_cover_check_stored(struct heap *heap, uint32_t page, uint64_t lines, const uint16_t *owners);
/* Closes the page, unless somebody has it before them. */
void tmebox_cover_settle(struct heap *heap, uint32_t page);
/* These lines are in the heap's memory, and are what DRAM says. False: not all of them. */
bool tmebox_cover_reveal(struct heap *heap, uint32_t page, uint64_t lines);

#endif
