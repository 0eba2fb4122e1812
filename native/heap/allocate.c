/* Blocks: memory of whole lines that somebody asked for. Below a page they do not cross pages, from a page on they
 * are whole pages. Nothing that the allocator goes by lies in the heap itself. Under the heap's lock. */
#include "heap/heap.h"

#include <errno.h>

#define TRIES 8 /* pages that are looked at for a small block, before it gets a new one */
#define ALL UINT64_MAX

static uint64_t mask(unsigned first, unsigned count) {
    return (count == LINES ? ALL : (1ULL << count) - 1) << first;
}

/* The first of `count` free lines in a row, or LINES. */
unsigned tmebox_heap_room(uint64_t used, unsigned count) {
    uint64_t free = ~used; /* a bit where so many in a row begin */
    for (unsigned have = 1, step; have < count && free != 0; have += step) {
        step = have < count - have ? have : count - have;
        free &= free >> step;
    }
    return free != 0 ? (unsigned)__builtin_ctzll(free) : LINES;
}

static uint32_t *list_of(struct heap *heap, const struct heap_page *page, uint16_t owner) {
    bool full = page->used == ALL;
    if (page->flags & PAGE_DENSE) {
        return full ? &heap->dense_full : &heap->dense_partial;
    }
    return full ? &heap->keys[owner].full : &heap->keys[owner].partial;
}

static void count(struct heap *heap, uint16_t key, int64_t lines, bool dense, int guest) {
    struct heap_key *self = &heap->keys[key];
    self->lines += (uint64_t)lines;
    self->dense_lines += dense ? (uint64_t)lines : 0;
    self->guest_blocks += (uint32_t)guest;
}

/* -- finding blocks ------------------------------------------------------------------------------------- */
uint64_t tmebox_heap_block_lines(const struct heap *heap, uint32_t start) {
    uint32_t line = start % LINES;
    if (start / LINES >= heap->page_count) {
        return 0;
    }
    const struct heap_page *page = &heap->pages[start / LINES];
    if (page->kind == PAGE_RUN) {
        return line == 0 && !(page->flags & PAGE_GONE) ? (uint64_t)page->run * LINES : 0;
    }
    if (page->kind != PAGE_SMALL || !(page->starts >> line & 1)) {
        return 0;
    }
    uint64_t ends = line == LINES - 1 ? 0 : (page->starts | ~page->used) >> (line + 1);
    return ends != 0 ? (uint64_t)__builtin_ctzll(ends) + 1 : LINES - line;
}

uint32_t tmebox_heap_block_of(const struct heap *heap, uint32_t line) {
    uint32_t number = line / LINES, within = line % LINES;
    if (number >= heap->page_count) {
        return HEAP_NOWHERE;
    }
    const struct heap_page *page = &heap->pages[number];
    if (page->kind == PAGE_REST) {
        number -= page->run;
        page = &heap->pages[number];
    }
    if (page->kind == PAGE_RUN) {
        return page->flags & PAGE_GONE ? HEAP_NOWHERE : number * LINES;
    }
    if (page->kind != PAGE_SMALL || !(page->used >> within & 1)) {
        return HEAP_NOWHERE;
    }
    uint64_t starts = page->starts & mask(0, within + 1);
    return number * LINES + LINES - 1 - (uint32_t)__builtin_clzll(starts);
}

uint16_t tmebox_heap_block_owner(const struct heap *heap, uint32_t start) {
    return tmebox_heap_owner(heap, start / LINES, start % LINES);
}

bool tmebox_heap_made_by_guest(const struct heap *heap, uint32_t start) {
    const struct heap_page *page = &heap->pages[start / LINES];
    return page->kind == PAGE_RUN ? page->flags & PAGE_GUEST : page->guest >> start % LINES & 1;
}

/* -- making --------------------------------------------------------------------------------------------- */
/* Some may be on their way back to the system. */
static uint32_t take_pages(struct heap *heap, uint32_t count) {
    uint32_t page = tmebox_heap_take_pages(heap, count);
    return page == HEAP_NOWHERE && tmebox_heap_await_runs(heap) ? tmebox_heap_take_pages(heap, count) : page;
}

static uint32_t new_small_page(struct heap *heap, uint16_t owner, bool dense) {
    uint32_t number = dense ? HEAP_NOWHERE : heap->keys[owner].spare;
    bool spare = number != HEAP_NOWHERE;
    if (spare) {
        heap->keys[owner].spare = HEAP_NOWHERE;
        heap->spare_pages--;
    } else if ((number = take_pages(heap, 1)) == HEAP_NOWHERE) {
        return number;
    }
    struct heap_page *page = &heap->pages[number];
    if (!spare) {
        tmebox_heap_clear_pages(heap, number, 1);
    }
    page->kind = PAGE_SMALL;
    page->flags = PAGE_DIRTY | (dense ? PAGE_DENSE : 0);
    tmebox_heap_link(heap, list_of(heap, page, owner), number);
    tmebox_heap_give_pages(heap, number, 1, owner, false);
    return number;
}

void tmebox_heap_claim(struct heap *heap, uint32_t at, unsigned lines, uint16_t owner, unsigned flags) {
    uint32_t number = at / LINES, line = at % LINES;
    struct heap_page *page = &heap->pages[number];
    uint32_t *list = list_of(heap, page, owner);
    uint64_t bits = mask(line, lines), start = 1ULL << line;
    page->used |= bits;
    page->starts |= start;
    page->guest |= flags & BLOCK_GUEST ? start : 0;
    page->movable |= flags & BLOCK_MOVABLE ? start : 0;
    if (page->used == ALL) {
        tmebox_heap_unlink(heap, list, number);
        tmebox_heap_link(heap, list_of(heap, page, owner), number);
    }
    count(heap, owner, lines, page->flags & PAGE_DENSE, flags & BLOCK_GUEST ? 1 : 0);
}

void tmebox_heap_place(struct heap *heap, uint32_t at, unsigned lines, uint16_t owner, unsigned flags) {
    const struct heap_page *page = &heap->pages[at / LINES];
    uint64_t bits = mask(at % LINES, lines);
    tmebox_heap_claim(heap, at, lines, owner, flags);
    if (page->owner != owner) {
        tmebox_heap_give_lines(heap, at / LINES, bits, page->used, bits, owner);
    } else if (!(flags & BLOCK_MOVED)) { /* nobody else can touch it */
        tmebox_heap_clear(heap, at / LINES, bits);
    }
}

static uint32_t allocate_small(struct heap *heap, unsigned lines, uint16_t owner, unsigned flags) {
    bool dense = flags & BLOCK_DENSE;
    uint32_t number = dense ? heap->dense_partial : heap->keys[owner].partial;
    unsigned line = LINES;
    for (int tries = 0; number != HEAP_NOWHERE && tries < TRIES; tries++) {
        line = tmebox_heap_room(heap->pages[number].used, lines);
        if (line < LINES) {
            break;
        }
        number = heap->pages[number].next;
    }
    if (line == LINES) {
        number = new_small_page(heap, owner, dense);
        line = 0;
    }
    if (number == HEAP_NOWHERE) {
        errno = ENOMEM;
        return number;
    }
    tmebox_heap_place(heap, number * LINES + line, lines, owner, flags);
    return number * LINES + line;
}

static uint32_t allocate_pages(struct heap *heap, uint32_t pages, uint16_t owner, unsigned flags) {
    uint32_t number = take_pages(heap, pages);
    if (number == HEAP_NOWHERE) {
        errno = ENOMEM;
        return number;
    }
    tmebox_heap_clear_pages(heap, number, pages);
    for (uint32_t i = 0; i < pages; i++) {
        heap->pages[number + i].kind = i == 0 ? PAGE_RUN : PAGE_REST;
        heap->pages[number + i].run = i == 0 ? pages : i;
        heap->pages[number + i].flags = PAGE_DIRTY;
    }
    heap->pages[number].flags |= (flags & BLOCK_SHAREABLE ? PAGE_SHAREABLE : 0) | (flags & BLOCK_GUEST ? PAGE_GUEST : 0);
    heap->pages[number].movable = flags & BLOCK_MOVABLE ? 1 : 0;
    tmebox_heap_link(heap, &heap->keys[owner].runs, number);
    tmebox_heap_give_pages(heap, number, pages, owner, false);
    count(heap, owner, (int64_t)pages * LINES, false, flags & BLOCK_GUEST ? 1 : 0);
    return number * LINES;
}

static bool fits(const struct heap *heap, uint16_t owner, uint64_t lines) {
    const struct heap_key *key = &heap->keys[owner];
    return key->lines <= key->limit && lines <= key->limit - key->lines;
}

uint32_t tmebox_heap_allocate(struct heap *heap, size_t size_bytes, uint16_t owner, unsigned flags) {
    if (size_bytes > heap->size_bytes) {
        errno = ENOMEM;
        return HEAP_NOWHERE;
    }
    uint64_t lines = size_bytes != 0 ? (size_bytes + LINE - 1) / LINE : 1;
    bool whole = lines >= LINES || flags & BLOCK_SHAREABLE;
    lines = whole ? (lines + LINES - 1) / LINES * LINES : lines;
    if (!(flags & BLOCK_MOVED) && !fits(heap, owner, lines)) {
        errno = EDQUOT;
        return HEAP_NOWHERE;
    }
    return whole ? allocate_pages(heap, (uint32_t)(lines / LINES), owner, flags)
                 : allocate_small(heap, (unsigned)lines, owner, flags);
}

/* -- ending --------------------------------------------------------------------------------------------- */
static void retire_page(struct heap *heap, uint32_t number, uint16_t owner) {
    struct heap_page *page = &heap->pages[number];
    tmebox_heap_give_pages(heap, number, 1, HEAP_HOST, false);
    if ((page->flags & PAGE_DENSE) || heap->keys[owner].spare != HEAP_NOWHERE) {
        tmebox_heap_return_pages(heap, number, 1);
        return;
    }
    page->kind = PAGE_SPARE;
    heap->keys[owner].spare = number;
    heap->spare_pages++;
}

static void free_small(struct heap *heap, uint32_t start) {
    uint32_t number = start / LINES, line = start % LINES;
    struct heap_page *page = &heap->pages[number];
    unsigned lines = (unsigned)tmebox_heap_block_lines(heap, start);
    uint64_t bits = mask(line, lines);
    uint16_t owner = tmebox_heap_owner(heap, number, line);
    bool guest = page->guest >> line & 1;
    uint32_t *list = list_of(heap, page, owner);
    page->used &= ~bits;
    page->starts &= ~bits;
    page->guest &= ~bits;
    page->movable &= ~bits;
    count(heap, owner, -(int64_t)lines, page->flags & PAGE_DENSE, guest ? -1 : 0);
    uint32_t *after = list_of(heap, page, owner);
    if (page->used == 0 || list != after) {
        tmebox_heap_unlink(heap, list, number);
    }
    if (page->used == 0) {
        retire_page(heap, number, owner);
        return;
    }
    if (list != after) {
        tmebox_heap_link(heap, after, number);
    }
    if (page->owner == HEAP_MIXED) {
        tmebox_heap_give_lines(heap, number, bits, page->used, 0, HEAP_HOST);
    }
}

static void free_run(struct heap *heap, uint32_t number) {
    struct heap_page *page = &heap->pages[number];
    uint16_t owner = page->owner;
    bool guest = page->flags & PAGE_GUEST;
    tmebox_heap_unlink(heap, &heap->keys[owner].runs, number);
    count(heap, owner, -(int64_t)page->run * LINES, false, guest ? -1 : 0);
    tmebox_heap_give_pages(heap, number, page->run, HEAP_HOST, false);
    page->object = NULL;
    if (page->views != 0) {
        page->flags |= PAGE_GONE;
    } else {
        tmebox_heap_return_pages(heap, number, page->run);
    }
    tmebox_heap_leave_domain(heap, owner);
}

void tmebox_heap_free_page(struct heap *heap, uint32_t number) {
    struct heap_page *page = &heap->pages[number];
    uint16_t first = tmebox_heap_owner(heap, number, (uint32_t)__builtin_ctzll(page->starts));
    uint32_t *list = list_of(heap, page, first);
    for (uint64_t starts = page->starts; starts != 0; starts &= starts - 1) {
        uint32_t line = (uint32_t)__builtin_ctzll(starts);
        int64_t lines = (int64_t)tmebox_heap_block_lines(heap, number * LINES + line);
        bool guest = page->guest >> line & 1;
        count(heap, tmebox_heap_owner(heap, number, line), -lines, page->flags & PAGE_DENSE, guest ? -1 : 0);
    }
    page->used = page->starts = page->guest = page->movable = 0;
    tmebox_heap_unlink(heap, list, number);
    retire_page(heap, number, first);
}

void tmebox_heap_free(struct heap *heap, uint32_t start) {
    if (heap->pages[start / LINES].kind == PAGE_RUN) {
        free_run(heap, start / LINES);
    } else {
        free_small(heap, start);
    }
}

void tmebox_heap_view_ended(struct heap *heap, uint32_t start) {
    struct heap_page *page = &heap->pages[start / LINES];
    page->views--;
    tmebox_heap_look(heap, start / LINES, false, NULL);
    if (page->views == 0 && (page->flags & PAGE_GONE)) {
        tmebox_heap_return_pages(heap, start / LINES, page->run);
    }
}

/* -- changing hands ------------------------------------------------------------------------------------- */
static void transfer_run(struct heap *heap, uint32_t number, uint16_t to) {
    struct heap_page *page = &heap->pages[number];
    uint16_t from = page->owner;
    int guest = page->flags & PAGE_GUEST ? 1 : 0;
    int64_t lines = (int64_t)page->run * LINES;
    tmebox_heap_unlink(heap, &heap->keys[from].runs, number);
    tmebox_heap_link(heap, &heap->keys[to].runs, number);
    count(heap, from, -lines, false, -guest);
    count(heap, to, lines, false, guest);
    tmebox_heap_give_pages(heap, number, page->run, to, true);
    tmebox_heap_leave_domain(heap, from);
}

/* A page that its owner packed by itself is for any owner from now on. */
static void make_dense(struct heap *heap, uint32_t number) {
    struct heap_page *page = &heap->pages[number];
    heap->keys[page->owner].dense_lines += (uint64_t)__builtin_popcountll(page->used);
    page->flags |= PAGE_DENSE;
}

static void transfer_small(struct heap *heap, uint32_t start, uint64_t lines, uint16_t to) {
    uint32_t number = start / LINES, line = start % LINES;
    struct heap_page *page = &heap->pages[number];
    uint64_t bits = mask(line, (unsigned)lines);
    uint16_t from = tmebox_heap_owner(heap, number, line);
    int guest = page->guest >> line & 1 ? 1 : 0;
    tmebox_heap_unlink(heap, list_of(heap, page, from), number);
    if (page->used != bits && !(page->flags & PAGE_DENSE)) {
        make_dense(heap, number);
    }
    bool dense = page->flags & PAGE_DENSE;
    tmebox_heap_link(heap, list_of(heap, page, to), number);
    count(heap, from, -(int64_t)lines, dense, -guest);
    count(heap, to, (int64_t)lines, dense, guest);
    tmebox_heap_give_lines(heap, number, bits, page->used, 0, to);
    if (to == HEAP_HOST && (page->movable >> line & 1)) { /* whoever pinned it has nothing of it any more */
        heap->handles[heap->handle_at[number][line]].pins = 0;
    }
}

int tmebox_heap_transfer(struct heap *heap, uint32_t start, uint16_t to) {
    uint64_t lines = tmebox_heap_block_lines(heap, start);
    if (tmebox_heap_block_owner(heap, start) == to) {
        return 0;
    }
    if (!fits(heap, to, lines)) {
        return EDQUOT;
    }
    heap->transfers++;
    if (heap->pages[start / LINES].kind == PAGE_RUN) {
        transfer_run(heap, start / LINES, to);
    } else {
        transfer_small(heap, start, lines, to);
    }
    return 0;
}

void tmebox_heap_set_guest(struct heap *heap, uint32_t start, bool guest) {
    struct heap_page *page = &heap->pages[start / LINES];
    if (tmebox_heap_made_by_guest(heap, start) == guest) {
        return;
    }
    heap->keys[tmebox_heap_block_owner(heap, start)].guest_blocks += guest ? 1 : -1U;
    if (page->kind == PAGE_RUN) {
        page->flags ^= PAGE_GUEST;
    } else {
        page->guest ^= 1ULL << start % LINES;
    }
}
