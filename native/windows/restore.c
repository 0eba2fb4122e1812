/* Giving windows back their first contents, in user space as far as possible: taking pages away and faulting
 * them in again costs more than writing them. */
#include "newer.h"
#include "windows/window.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#define FIRST_OF(offset) ((offset) / PAGE)
#define HOT_END (HOT_START + HOT_SIZE)
#define ARENA_ALL ((1U << ARENA_FIRST_PAGES) - 1)

static_assert(TMEBOX_PRIVATE_END > HOT_END && TMEBOX_STACK_LOWEST < HOT_START,
              "there is more than the hot part");

static bool rewrite(const struct template *template, uint64_t base, uint32_t page) {
    uint64_t to = base + (uint64_t)page * PAGE;
    const unsigned char *first = tmebox_first_contents(template, page);
    return first != NULL ? tmebox_window_write(to, first, PAGE) : tmebox_window_clear(to, PAGE);
}

/* The sandbox could not write the control page and read-only data, so they are as they were. */
static bool is_constant(const struct template *template, uint32_t page) {
    return page == FIRST_OF(TMEBOX_CONTROL_PAGE) || tmebox_is_read_only(template, page);
}

static bool rewrite_hot(const struct window *window, uint64_t base) {
    for (uint32_t word = 0; word < HOT_WORDS; word++) {
        for (uint64_t bits = window->hot[word]; bits != 0; bits &= bits - 1) {
            uint32_t page = FIRST_OF(HOT_START) + 64 * word + (uint32_t)__builtin_ctzll(bits);
            if (!is_constant(window->template, page) && !rewrite(window->template, base, page)) {
                return false;
            }
        }
    }
    return true;
}

static bool rewrite_runs(const struct window *window, uint64_t base) {
    for (uint32_t i = 0; i < window->run_count && i < RUNS; i++) {
        uint32_t page = (uint32_t)window->runs[i], count = (uint32_t)(window->runs[i] >> 32);
        for (; count != 0; page++, count--) {
            if (!tmebox_is_read_only(window->template, page) && !rewrite(window->template, base, page)) {
                return false;
            }
        }
    }
    return true;
}

static uint32_t hot_pages(const struct window *window) {
    uint32_t count = 0;
    for (uint32_t word = 0; word < HOT_WORDS; word++) {
        count += (uint32_t)__builtin_popcountll(window->hot[word]);
    }
    return count;
}

/* UINT32_MAX: not known. */
static uint32_t run_pages(const struct window *window) {
    uint32_t count = 0;
    if (window->run_count > RUNS) {
        return UINT32_MAX;
    }
    for (uint32_t i = 0; i < window->run_count; i++) {
        count += (uint32_t)(window->runs[i] >> 32);
    }
    return count;
}

/* It fails where the host has locked all memory that there was. Unlocking a part of a mapping takes another one, which
 * there may not be: so all of the piece is unlocked. Would it still fail, old contents must not stay. */
void tmebox_discard(uint64_t base, uint64_t start, uint64_t end) {
    void *from = (void *)(base + start);
    size_t size = end - start;
    if (start < end && madvise(from, size, MADV_DONTNEED) < 0 &&
        (!tmebox_unlock_piece(base) || madvise(from, size, MADV_DONTNEED) < 0) &&
        madvise(from, size, MADV_DONTNEED_LOCKED) < 0) {
        Py_FatalError("tmebox: the kernel does not take a sandbox's memory back");
    }
}

static bool rewrite_from(const struct window *window, uint64_t base, uint32_t page, uint32_t end) {
    for (; page < end; page++) {
        if (!is_constant(window->template, page) && !rewrite(window->template, base, page)) {
            return false;
        }
    }
    return true;
}

/* One byte for each page from `start` on; NULL: no memory. */
static uint8_t *pinned_pages(const struct window *window, uint32_t start, uint32_t end) {
    uint8_t *bits = calloc(end - start, 1);
    for (const struct pin *pin = window->pins; bits != NULL && pin != NULL; pin = pin->next) {
        uint32_t from = pin->start > start ? pin->start : start, to = pin->end < end ? pin->end : end;
        if (from < to) {
            memset(bits + (from - start), 1, to - from);
        }
    }
    return bits;
}

bool tmebox_discard_but_pinned(const struct window *window, uint64_t base, uint64_t start, uint64_t end) {
    if (window->pins == NULL || start >= end) {
        tmebox_discard(base, start, end);
        return true;
    }
    uint32_t first = FIRST_OF(start), last = FIRST_OF(end);
    uint8_t *pinned = pinned_pages(window, first, last);
    bool good = pinned != NULL;
    for (uint32_t page = first, next; good && page < last; page = next) {
        for (next = page + 1; next < last && pinned[next - first] == pinned[page - first]; next++) {
        }
        if (pinned[page - first]) {
            good = rewrite_from(window, base, page, next);
        } else {
            tmebox_discard(base, (uint64_t)page * PAGE, (uint64_t)next * PAGE);
        }
    }
    free(pinned);
    return good;
}

static void discard_private(const struct window *window, uint64_t base) {
    const struct template *template = window->template;
    tmebox_discard(base, tmebox_private_low(template), tmebox_private_end(template));
    struct span above = tmebox_upper_part(template);
    tmebox_discard(base, above.start, above.end);
}

static bool discard_around_hot(const struct window *window, uint64_t base) {
    const struct template *template = window->template;
    struct span above = tmebox_upper_part(template);
    return tmebox_discard_but_pinned(window, base, tmebox_private_low(template), HOT_START) &&
           tmebox_discard_but_pinned(window, base, HOT_END, tmebox_private_end(template)) &&
           tmebox_discard_but_pinned(window, base, above.start, above.end);
}

static void forget_runs(struct window *window) {
    for (uint32_t i = 0; i < RUNS; i++) {
        window->runs[i] = 0;
    }
    window->run_count = 0;
}

static void forget_hot(struct window *window) {
    for (uint32_t word = 0; word < HOT_WORDS; word++) {
        window->hot[word] = 0;
    }
}

bool tmebox_restore(struct window *window, uint64_t base, uint32_t keep) {
    bool few = run_pages(window) <= keep;
    if (!few) {
        window->run_count = RUNS + 1; /* other threads may be installing pages there right now */
    }
    return (few ? rewrite_runs(window, base) : discard_around_hot(window, base)) && rewrite_hot(window, base);
}

/* How many pages stay; -1: there is no memory for one that should be there. */
static int recycle_arena(struct window *window, uint64_t base) {
    tmebox_discard(base, TMEBOX_ARENA_FIRST_END, window->arena_most);
    window->arena_end = window->arena_most = TMEBOX_ARENA_FIRST_END;
    if (window->arena_first == 0) {
        return 0;
    }
    bool good = tmebox_window_clear(base + TMEBOX_ARENA_START, ARENA_FIRST_PAGES * PAGE);
    return good ? ARENA_FIRST_PAGES : -1;
}

int64_t tmebox_recycle(struct window *window, uint64_t base, uint32_t keep) {
    if (window->template == NULL) {
        return 0; /* it could not even start */
    }
    if (window->view != NULL) {
        tmebox_view_parked(window);
    }
    uint32_t hot = hot_pages(window), elsewhere = run_pages(window);
    if (keep == 0 || hot > keep || window->broken) {
        return tmebox_empty(window, base) ? 0 : -1;
    }
    bool good = true;
    if (elsewhere <= keep - hot) {
        good = rewrite_runs(window, base);
    } else {
        good = discard_around_hot(window, base);
        forget_runs(window);
        elsewhere = 0;
    }
    good = good && rewrite_hot(window, base);
    window->next_page = window->last_count = window->scattered = 0;
    int arena = good ? recycle_arena(window, base) : -1;
    if (arena < 0) {
        return tmebox_empty(window, base) ? 0 : -1;
    }
    return hot + elsewhere + (uint32_t)arena;
}

bool tmebox_empty(struct window *window, uint64_t base) {
    if (window->template == NULL) {
        return true;
    }
    discard_private(window, base);
    tmebox_discard(base, TMEBOX_ARENA_START, window->arena_most);
    forget_hot(window);
    forget_runs(window);
    window->arena_first = 0;
    window->arena_end = window->arena_most = TMEBOX_ARENA_FIRST_END;
    window->next_page = window->last_count = window->scattered = 0;
    if (!tmebox_unshare(window, base) || (window->view != NULL && !tmebox_view_ended(window))) {
        return false;
    }
    window->arena_end = window->arena_most = 0;
    window->upper_start = window->upper_end = 0;
    window->upper_stack = false;
    struct template *template = window->template;
    window->template = NULL;
    Py_DECREF(template);
    return true;
}

/* Pages of [start, end) that are in memory: the kernel knows. */
static uint32_t resident_pages(uint64_t base, uint64_t start, uint64_t end) {
    unsigned char present[1024];
    uint32_t count = 0;
    for (uint64_t offset = start; offset < end; offset += sizeof present * PAGE) {
        uint64_t pages = (end - offset) / PAGE < sizeof present ? (end - offset) / PAGE : sizeof present;
        bool known = mincore((void *)(base + offset), pages * PAGE, present) == 0;
        for (uint64_t i = 0; known && i < pages; i++) {
            count += present[i] & 1;
        }
    }
    return count;
}

/* Those of the private part outside of the hot part that are this window's alone. */
static uint32_t pages_elsewhere(const struct window *window, uint64_t base) {
    const struct template *template = window->template;
    uint32_t count = run_pages(window);
    if (count != UINT32_MAX) {
        return count;
    }
    struct span above = tmebox_upper_part(template);
    count = resident_pages(base, tmebox_private_low(template), HOT_START) +
            resident_pages(base, HOT_END, tmebox_private_end(template)) +
            resident_pages(base, above.start, above.end);
    for (uint32_t bits = window->shared; bits != 0; bits &= bits - 1) {
        const struct span *span = &template->read_only[__builtin_ctz(bits)];
        count -= resident_pages(base, span->start > HOT_END ? span->start : HOT_END, span->end);
    }
    return count;
}

uint32_t tmebox_pages_present(const struct window *window, uint64_t base) {
    if (window->template == NULL) {
        return 0;
    }
    uint32_t arena = (window->arena_end - TMEBOX_ARENA_FIRST_END) / PAGE;
    return hot_pages(window) + pages_elsewhere(window, base) + arena +
           (window->arena_first != 0 ? ARENA_FIRST_PAGES : 0);
}

/* -- random bytes ------------------------------------------------------------------------------------- */
#define RANDOM_SIZE (TMEBOX_STACK_TOP - TMEBOX_STACK_RANDOM)

/* Used with the GIL held. */
static unsigned char pool[4096];
static size_t pool_left;

void tmebox_random_after_fork(void) {
    pool_left = 0;
}

static bool refill(void) {
    size_t got = 0;
    while (got < sizeof pool) {
        ssize_t count = getrandom(pool + got, sizeof pool - got, 0);
        if (count < 0 && errno != EINTR) {
            PyErr_SetFromErrno(PyExc_OSError);
            return false;
        }
        got += count > 0 ? (size_t)count : 0;
    }
    pool_left = sizeof pool;
    return true;
}

bool tmebox_put_random(struct window *window, uint64_t base) {
    bool there = tmebox_is_marked(window, FIRST_OF(TMEBOX_STACK_RANDOM)) ||
                 tmebox_populate(window, base, TMEBOX_STACK_RANDOM, RANDOM_SIZE, HOST_WRITES);
    if (there && pool_left == 0 && !refill()) {
        return false;
    }
    pool_left -= there ? RANDOM_SIZE : 0;
    if (!there || !tmebox_window_write(base + TMEBOX_STACK_RANDOM, pool + pool_left, RANDOM_SIZE)) {
        errno = ENOMEM;
        PyErr_SetFromErrno(PyExc_OSError);
        return false;
    }
    memset(pool + pool_left, 0, RANDOM_SIZE);
    return true;
}
