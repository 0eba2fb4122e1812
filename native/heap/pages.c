/* Whole pages of the heap: which are free, and the lists that the others are on. Under the heap's lock. */
#include "heap/compact.h"

#include <string.h>

#define WORD 64

/* The first page of [page, end) whose bit is `set`, or end. */
static uint32_t find_below(const struct heap *heap, uint32_t page, uint32_t end, bool set) {
    while (page < end) {
        uint64_t word = heap->free_map[page / WORD];
        word = (set ? word : ~word) >> page % WORD;
        if (word != 0) {
            page += (uint32_t)__builtin_ctzll(word);
            return page < end ? page : end;
        }
        page = (page / WORD + 1) * WORD;
    }
    return end;
}

static void mark(struct heap *heap, uint32_t page, uint32_t count, bool set) {
    for (uint32_t end = page + count, next; page < end; page = next) {
        next = (page / WORD + 1) * WORD;
        next = next < end ? next : end;
        uint64_t bits = next - page == WORD ? UINT64_MAX : ((1ULL << (next - page)) - 1) << page % WORD;
        if (set) {
            heap->free_map[page / WORD] |= bits;
        } else {
            heap->free_map[page / WORD] &= ~bits;
        }
    }
}

/* What owners have put by is for all, where nothing else is left. */
static void take_spares_back(struct heap *heap) {
    for (uint32_t key = 0; heap->spare_pages != 0 && key < heap->key_end; key++) {
        uint32_t spare = heap->keys[key].spare;
        if (heap->keys[key].state != KEY_FREE && spare != HEAP_NOWHERE) {
            heap->keys[key].spare = HEAP_NOWHERE;
            heap->spare_pages--;
            tmebox_heap_return_pages(heap, spare, 1);
        }
    }
}

static uint32_t search(struct heap *heap, uint32_t count) {
    uint32_t page = find_below(heap, heap->free_hint, heap->page_count, true);
    heap->free_hint = page;
    while (page < heap->page_count) {
        uint32_t most = heap->page_count - page < count ? heap->page_count : page + count;
        uint32_t end = find_below(heap, page, most, false);
        if (end - page == count) {
            return page;
        }
        page = find_below(heap, end, heap->page_count, true);
    }
    return HEAP_NOWHERE;
}

void tmebox_heap_take_run(struct heap *heap, uint32_t page, uint32_t count) {
    mark(heap, page, count, false);
    heap->free_pages -= count;
}

uint32_t tmebox_heap_take_pages(struct heap *heap, uint32_t count) {
    uint32_t page = count <= heap->free_pages ? search(heap, count) : HEAP_NOWHERE;
    if (page == HEAP_NOWHERE && heap->spare_pages != 0 && count <= heap->free_pages + heap->spare_pages) {
        take_spares_back(heap);
        page = search(heap, count);
    }
    if (page != HEAP_NOWHERE) {
        tmebox_heap_take_run(heap, page, count);
    }
    return page;
}

void tmebox_heap_return_pages(struct heap *heap, uint32_t page, uint32_t count) {
    for (uint32_t i = page; i < page + count; i++) {
        struct heap_page *self = &heap->pages[i];
        self->kind = PAGE_FREE;
        self->flags &= PAGE_DIRTY;
        self->used = self->starts = self->guest = self->movable = 0;
    }
    mark(heap, page, count, true);
    heap->free_pages += count;
    heap->free_hint = page < heap->free_hint ? page : heap->free_hint;
}

void tmebox_heap_clear_pages(struct heap *heap, uint32_t page, uint32_t count) {
    for (uint32_t end = page + count, next; page < end; page = next) {
        bool dirty = heap->pages[page].flags & PAGE_DIRTY;
        for (next = page; next < end && (bool)(heap->pages[next].flags & PAGE_DIRTY) == dirty; next++) {
        }
        if (dirty && heap->backend->zero == NULL) {
            memset(heap->host + (uint64_t)page * TMEBOX_PAGE_SIZE, 0,
                   (uint64_t)(next - page) * TMEBOX_PAGE_SIZE);
        }
        for (uint32_t i = page; dirty && heap->backend->zero != NULL && i < next; i++) {
            heap->backend->zero(heap, i, UINT64_MAX);
        }
        for (uint32_t i = page; heap->backend->cleared != NULL && i < next; i++) {
            heap->backend->cleared(heap, i, UINT64_MAX, false); /* nobody's: it is given next */
        }
    }
}

uint32_t tmebox_heap_free_run(const struct heap *heap, uint32_t from, uint32_t to, uint32_t *end) {
    uint32_t page = find_below(heap, from, to, true);
    *end = find_below(heap, page, to, false);
    return page;
}

/* -- lists ---------------------------------------------------------------------------------------------- */
void tmebox_heap_link(struct heap *heap, uint32_t *list, uint32_t page) {
    struct heap_page *self = &heap->pages[page];
    self->prev = HEAP_NOWHERE;
    self->next = *list;
    if (*list != HEAP_NOWHERE) {
        heap->pages[*list].prev = page;
    }
    *list = page;
}

void tmebox_heap_unlink(struct heap *heap, uint32_t *list, uint32_t page) {
    const struct heap_page *self = &heap->pages[page];
    if (self->prev != HEAP_NOWHERE) {
        heap->pages[self->prev].next = self->next;
    } else {
        *list = self->next;
    }
    if (self->next != HEAP_NOWHERE) {
        heap->pages[self->next].prev = self->prev;
    }
}
