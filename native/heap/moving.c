/* Moving blocks that have a handle: to their owner's own page when they are pinned, and together when the heap is
 * compacted. Under the heap's lock. */
#include "heap/compact.h"

#include <emmintrin.h>
#include <string.h>

static unsigned flags_of(const struct heap *heap, uint32_t start) {
    return BLOCK_MOVABLE | BLOCK_MOVED | (tmebox_heap_made_by_guest(heap, start) ? BLOCK_GUEST : 0);
}

static void copy(struct heap *heap, uint32_t to, uint32_t from, uint64_t lines) {
    if (heap->backend->copy != NULL) {
        heap->backend->copy(heap, to, from, (uint32_t)lines);
    } else {
        memcpy(heap->host + (uint64_t)to * LINE, heap->host + (uint64_t)from * LINE, lines * LINE);
    }
}

static void rename_block(struct heap *heap, uint32_t start, uint32_t to) {
    uint32_t index = heap->handle_at[start / LINES][start % LINES];
    heap->handles[index].start = to;
    heap->handle_at[to / LINES][to % LINES] = index;
}

uint32_t tmebox_heap_move(struct heap *heap, uint32_t start, bool dense) {
    unsigned flags = flags_of(heap, start) | (dense ? BLOCK_DENSE : 0);
    uint64_t lines = tmebox_heap_block_lines(heap, start);
    uint32_t to = tmebox_heap_allocate(heap, lines * LINE, tmebox_heap_block_owner(heap, start), flags);
    if (to != HEAP_NOWHERE) {
        copy(heap, to, start, lines);
        rename_block(heap, start, to);
        tmebox_heap_free(heap, start);
    }
    return to;
}

void tmebox_heap_move_to(struct heap *heap, uint32_t start, uint32_t to) {
    uint64_t lines = tmebox_heap_block_lines(heap, start);
    tmebox_heap_place(heap, to, (unsigned)lines, tmebox_heap_block_owner(heap, start), flags_of(heap, start));
    copy(heap, to, start, lines);
    rename_block(heap, start, to);
}

/* -- into pages of several owners ----------------------------------------------------------------------- */
bool tmebox_heap_fills_first(const struct heap *heap, uint32_t page) {
    return heap->pages[page].owner == HEAP_MIXED && heap->backend->copy == NULL && heap->backend->rekey == NULL;
}

uint16_t tmebox_heap_claim_for(struct heap *heap, uint32_t start, uint32_t to, unsigned lines) {
    uint16_t owner = tmebox_heap_block_owner(heap, start);
    tmebox_heap_claim(heap, to, lines, owner, flags_of(heap, start));
    return owner;
}

void tmebox_heap_fill(struct heap *heap, uint32_t to, uint32_t start, unsigned lines) {
    __m128i *target = (__m128i *)(heap->host + (uint64_t)to * LINE);
    const __m128i *source = (const __m128i *)(heap->host + (uint64_t)start * LINE);
    for (unsigned i = 0; i < lines * (LINE / sizeof *target); i++) {
        _mm_stream_si128(target + i, _mm_load_si128(source + i));
    }
}

void tmebox_heap_reveal(struct heap *heap, uint32_t start, uint32_t to, unsigned lines, uint16_t owner) {
    uint16_t *owners = heap->lines[to / LINES] + to % LINES;
    for (unsigned line = 0; line < lines; line++) {
        owners[line] = owner;
    }
    rename_block(heap, start, to);
}

/* Where it stays from now on: a page of its owner's own, where there is room for that. */
static uint32_t settle(struct heap *heap, const struct heap_handle *handle) {
    uint32_t start = handle->start;
    bool shared_page = heap->pages[start / LINES].flags & PAGE_DENSE;
    if (!tmebox_heap_is_pinned(handle) && shared_page) {
        uint32_t to = tmebox_heap_move(heap, start, false);
        start = to != HEAP_NOWHERE ? to : start; /* in a full heap it stays where it is, and is slower */
    }
    return start;
}

uint32_t tmebox_heap_pin(struct heap *heap, struct heap_handle *handle) {
    uint32_t start = settle(heap, handle);
    handle->pins += handle->pins < UINT32_MAX;
    return start;
}

uint32_t tmebox_heap_begin_call(struct heap *heap, struct heap_handle *handle) {
    uint32_t start = settle(heap, handle);
    handle->calls++;
    return start;
}

void tmebox_heap_end_call(struct heap *heap, struct heap_handle *handle) {
    handle->calls--;
    if (handle->calls == 0 && handle->start == HEAP_NOWHERE) { /* its block was freed meanwhile */
        tmebox_heap_put_handle_by(heap, handle);
    }
}
