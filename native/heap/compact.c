/* Making a sparse heap dense: blocks that may be moved go from the last pages to the first that have room, and what
 * then is free in long runs goes back to the system. Under the heap's lock. */
#include "heap/heap.h"

#include <string.h>

static bool has_room(const struct heap_page *page, unsigned lines) {
    return page->kind == PAGE_SMALL && (page->flags & PAGE_DENSE) && tmebox_heap_room(page->used, lines) < LINES;
}

/* The first place below page `end` for so many lines. Before the cursor of their number there is none. */
static uint32_t place_for(const struct heap *heap, uint32_t cursors[LINES], uint32_t end, unsigned lines) {
    uint32_t *cursor = &cursors[lines];
    for (unsigned fewer = 1; fewer < lines; fewer++) { /* where fewer do not fit, more do not */
        *cursor = *cursor > cursors[fewer] ? *cursor : cursors[fewer];
    }
    while (*cursor < end && !has_room(&heap->pages[*cursor], lines)) {
        ++*cursor;
        __builtin_prefetch(&heap->pages[*cursor + 8]);
    }
    return *cursor < end ? *cursor * LINES + tmebox_heap_room(heap->pages[*cursor].used, lines) : HEAP_NOWHERE;
}

#define AHEAD 4 /* pages */

/* What is looked at next: it has not been for long. */
static void prefetch(const struct heap *heap, uint32_t number) {
    const struct heap_page *page = &heap->pages[number];
    for (unsigned line = 0; number >= AHEAD && line < LINES; line += LINE / sizeof *heap->handle_at[0]) {
        __builtin_prefetch(&heap->handle_at[number - AHEAD][line]);
    }
    for (uint64_t starts = page->starts & page->movable; starts != 0; starts &= starts - 1) {
        __builtin_prefetch(&heap->handles[heap->handle_at[number][__builtin_ctzll(starts)]]);
    }
    for (uint64_t used = page->used; used != 0; used &= used - 1) {
        __builtin_prefetch(heap->host + ((uint64_t)number * LINES + (uint64_t)__builtin_ctzll(used)) * LINE);
    }
}

/* Moved blocks leave together, if all do: as long as some are left, each would make the page another owner's. */
static uint64_t empty_page(struct heap *heap, uint32_t number, uint32_t cursors[LINES]) {
    uint64_t bytes = 0, moved = 0;
    uint64_t candidates = heap->pages[number].starts & heap->pages[number].movable;
    for (; candidates != 0; candidates &= candidates - 1) {
        uint32_t start = number * LINES + (uint32_t)__builtin_ctzll(candidates);
        if (tmebox_heap_is_pinned(&heap->handles[heap->handle_at[start / LINES][start % LINES]])) {
            continue;
        }
        uint64_t lines = tmebox_heap_block_lines(heap, start);
        uint32_t to = place_for(heap, cursors, number, (unsigned)lines);
        if (to != HEAP_NOWHERE) {
            tmebox_heap_move_to(heap, start, to);
            bytes += lines * LINE;
            moved |= candidates & -candidates;
        }
    }
    if (moved != 0 && moved == heap->pages[number].starts) {
        tmebox_heap_free_page(heap, number);
        return bytes;
    }
    for (; moved != 0; moved &= moved - 1) {
        tmebox_heap_free(heap, number * LINES + (uint32_t)__builtin_ctzll(moved));
    }
    return bytes;
}

uint64_t tmebox_heap_compact(struct heap *heap, struct heap_compaction *self, uint32_t pages) {
    uint64_t moved = 0;
    for (; pages != 0 && self->end > self->cursors[1]; pages--) {
        uint32_t number = --self->end;
        if (number != 0 && heap->pages[number - 1].kind == PAGE_SMALL) {
            prefetch(heap, number - 1);
        }
        if (heap->pages[number].kind == PAGE_SMALL && heap->pages[number].movable != 0) {
            moved += empty_page(heap, number, self->cursors);
        }
    }
    self->done = pages != 0;
    return moved;
}
