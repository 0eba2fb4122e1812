/* Making a sparse heap dense: blocks that may be moved go from the last pages to the first that have room, and what
 * then is free in long runs goes back to the system. */
#include "heap/views.h"
#include "heap/compact.h"

#include <emmintrin.h>
#include <time.h>

/* -- where to ------------------------------------------------------------------------------------------- */
static unsigned room_in(const struct heap_page *page, unsigned lines) {
    bool open = page->kind == PAGE_SMALL && (page->flags & PAGE_DENSE);
    return open ? tmebox_heap_room(page->used, lines) : LINES;
}

#define NEXT 8 /* pages that are looked at soon */

/* What a page's blocks are moved by, before it is looked at. */
static void prefetch_place(const struct heap *heap, uint32_t number) {
    __builtin_prefetch(&heap->pages[number + NEXT]);
    for (unsigned line = 0; line < LINES; line += LINE / sizeof *heap->lines[0]) {
        __builtin_prefetch(&heap->lines[number][line], 1);
    }
    for (unsigned line = 0; line < LINES; line += LINE / sizeof *heap->handle_at[0]) {
        __builtin_prefetch(&heap->handle_at[number][line], 1);
    }
}

/* The first place below page `end` for so many lines. Before the cursor of their number there is none, nor is there for
 * more lines before it. */
static uint32_t place_for(const struct heap *heap, uint32_t cursors[LINES], uint32_t end, unsigned lines) {
    uint32_t cursor = cursors[lines];
    unsigned line = LINES;
    while (cursor < end && (line = room_in(&heap->pages[cursor], lines)) == LINES) {
        cursor++;
        prefetch_place(heap, cursor);
    }
    for (unsigned more = lines; more < LINES && cursors[more] < cursor; more++) {
        cursors[more] = cursor;
    }
    return cursor < end ? cursor * LINES + line : HEAP_NOWHERE;
}

/* -- from where ----------------------------------------------------------------------------------------- */
#define AHEAD 4 /* pages */

/* What is read of a page when its blocks leave, but the blocks: it has not been for long. */
static void prefetch_page(const struct heap *heap, uint32_t number) {
    const struct heap_page *page = &heap->pages[number];
    for (unsigned line = 0; number >= AHEAD && line < LINES; line += LINE / sizeof *heap->handle_at[0]) {
        __builtin_prefetch(&heap->handle_at[number - AHEAD][line]);
    }
    for (unsigned line = 0; line < LINES; line += LINE / sizeof *heap->lines[0]) {
        __builtin_prefetch(&heap->lines[number][line]);
    }
    for (uint64_t starts = page->starts & page->movable; starts != 0; starts &= starts - 1) {
        __builtin_prefetch(&heap->handles[heap->handle_at[number][__builtin_ctzll(starts)]], 1);
    }
}

/* -- blocks on their way -------------------------------------------------------------------------------- */
#define PAGES_AT_ONCE 8
#define BLOCKS_AHEAD 6

struct move {
    uint32_t from, to;
    uint16_t lines, owner;
};

/* What some pages had. What is copied past the caches is there only after a fence: so all are copied, and then all are
 * their owners' at the new places. */
struct moves {
    struct move of_blocks[PAGES_AT_ONCE * LINES];
    unsigned count;
    uint64_t bytes;
};

static void release(struct heap_lock *held) {
    if (held != NULL) {
        tmebox_heap_unlock(held);
    }
}

static void finish(struct heap *heap, const struct moves *moves) {
    struct heap_lock *held = NULL;
    for (unsigned i = 0; i < moves->count; i++) {
        const struct move *move = &moves->of_blocks[i], *later = move + BLOCKS_AHEAD;
        for (unsigned line = 0; i + BLOCKS_AHEAD < moves->count && line < later->lines; line++) {
            __builtin_prefetch(heap->host + ((uint64_t)later->from + line) * LINE, 0, 0);
        }
        tmebox_heap_fill(heap, move->to, move->from, move->lines);
    }
    _mm_sfence();
    for (unsigned i = 0; i < moves->count; i++) { /* neighbours under one lock: each takes as long as a block */
        const struct move *move = &moves->of_blocks[i];
        struct heap_lock *lock = tmebox_heap_group(heap, move->to / LINES);
        if (lock != held) {
            release(held);
            tmebox_heap_lock(held = lock);
        }
        tmebox_heap_reveal(heap, move->from, move->to, move->lines, move->owner);
    }
    release(held);
}

/* The first lines of those blocks of the page that leave it. */
static uint64_t start_moving(struct heap *heap, uint32_t number, uint32_t cursors[LINES], struct moves *moves) {
    const struct heap_page *page = &heap->pages[number];
    uint64_t candidates = page->starts & page->movable, moved = 0, ends = page->starts | ~page->used;
    for (; candidates != 0; candidates &= candidates - 1) {
        uint32_t line = (uint32_t)__builtin_ctzll(candidates), start = number * LINES + line;
        uint64_t after = ends & ~((2ULL << line) - 1);
        unsigned lines = (after != 0 ? (unsigned)__builtin_ctzll(after) : LINES) - line;
        if (tmebox_heap_is_pinned(&heap->handles[heap->handle_at[number][line]])) {
            continue;
        }
        uint32_t to = place_for(heap, cursors, number, lines);
        if (to == HEAP_NOWHERE) {
            continue;
        }
        if (tmebox_heap_fills_first(heap, to / LINES)) {
            uint16_t owner = tmebox_heap_claim_for(heap, start, to, lines);
            moves->of_blocks[moves->count++] = (struct move){start, to, (uint16_t)lines, owner};
        } else {
            tmebox_heap_move_to(heap, start, to);
        }
        moves->bytes += (uint64_t)lines * LINE;
        moved |= candidates & -candidates;
    }
    return moved;
}

/* They leave together, if all do: as long as some are left, each would make the page another owner's. */
static void leave(struct heap *heap, uint32_t number, uint64_t moved) {
    if (moved != 0 && moved == heap->pages[number].starts) {
        tmebox_heap_free_page(heap, number);
        return;
    }
    for (; moved != 0; moved &= moved - 1) {
        tmebox_heap_free(heap, number * LINES + (uint32_t)__builtin_ctzll(moved));
    }
}

/* Under the heap's lock. */
struct compaction {
    uint32_t end;            /* pages from here on were looked at */
    uint32_t cursors[LINES]; /* before them, so many lines in a row are free nowhere */
};

static bool is_done(const struct compaction *self) {
    return self->end <= self->cursors[1];
}

/* Moves what may be moved from the last `pages` pages before the end to the first that have room: how many bytes. */
static uint64_t move_some(struct heap *heap, struct compaction *self, uint32_t pages) {
    struct moves moves;
    uint64_t moved[PAGES_AT_ONCE], bytes = 0;
    while (pages != 0 && !is_done(self)) {
        uint32_t last = self->end;
        moves.count = 0;
        moves.bytes = 0;
        for (; last - self->end < PAGES_AT_ONCE && pages != 0 && !is_done(self); pages--) {
            uint32_t number = --self->end;
            if (number != 0 && heap->pages[number - 1].kind == PAGE_SMALL) {
                prefetch_page(heap, number - 1);
            }
            bool some = heap->pages[number].kind == PAGE_SMALL && heap->pages[number].movable != 0;
            moved[last - 1 - number] = some ? start_moving(heap, number, self->cursors, &moves) : 0;
        }
        finish(heap, &moves);
        for (uint32_t number = last; number-- > self->end;) {
            leave(heap, number, moved[last - 1 - number]);
        }
        bytes += moves.bytes;
    }
    return bytes;
}

/* -- all of it ------------------------------------------------------------------------------------------ */
#define PAGES_AT_A_TIME 64 /* between which others may allocate */
#define PUNCHED_AT_A_TIME 1024
#define WAIT_NS 1000000

/* False, unlocked: it was closed. */
static bool lock_open(struct heap *heap) {
    tmebox_heap_lock(&heap->lock);
    if (heap->closed) {
        tmebox_heap_unlock(&heap->lock);
        return false;
    }
    tmebox_heap_bury(heap);
    return true;
}

/* False: it was closed. */
static bool begin(struct heap *heap, struct heap_punch *punch) {
    while (lock_open(heap)) {
        bool first = heap->punch == NULL;
        if (first) {
            tmebox_heap_begin_punch(heap, punch);
        }
        tmebox_heap_unlock(&heap->lock);
        if (first) {
            return true;
        }
        nanosleep(&(struct timespec){0, WAIT_NS}, NULL); /* another thread is at it */
    }
    return false;
}

/* The rest, from the first page on. */
static void punch_all(struct heap *heap, struct heap_punch *punch) {
    bool own = heap->backend->discard == NULL;
    for (uint32_t page = 0; page < heap->page_count;) {
        tmebox_heap_lock(&heap->lock);
        tmebox_heap_collect_runs(punch);
        page = tmebox_heap_give_runs(punch, page, heap->page_count);
        if (own) {
            tmebox_heap_unlock(&heap->lock);
        }
        tmebox_heap_punch_runs(punch);
        if (!own) {
            tmebox_heap_unlock(&heap->lock);
        }
    }
}

struct heap_compacted tmebox_heap_compact(struct heap *heap, bool give_back) {
    struct heap_compacted result = {0};
    struct compaction compaction = {.end = heap->page_count};
    struct heap_punch punch;
    if (!begin(heap, &punch)) {
        return result;
    }
    if (give_back) {
        tmebox_heap_begin_help(&punch);
    }
    uint32_t given = heap->page_count, enough = PUNCHED_AT_A_TIME + tmebox_heap_view_count(); /* each call looks at all */
    while (!is_done(&compaction) && lock_open(heap)) {
        result.bytes += move_some(heap, &compaction, PAGES_AT_A_TIME);
        bool wake = punch.helped && given - compaction.end >= enough;
        if (wake) {
            tmebox_heap_collect_runs(&punch);
            tmebox_heap_give_runs(&punch, compaction.end, given);
            given = compaction.end;
        }
        tmebox_heap_unlock(&heap->lock);
        if (wake) {
            tmebox_heap_wake_help(&punch);
        }
    }
    tmebox_heap_end_help(&punch);
    if (give_back) {
        punch_all(heap, &punch);
    }
    tmebox_heap_lock(&heap->lock);
    tmebox_heap_collect_runs(&punch);
    heap->punch = NULL;
    tmebox_heap_unlock(&heap->lock);
    result.pages = punch.pages;
    return result;
}
