/* What sandboxed code touches of the heap. In signal handlers: no lock but the groups', and no memory. */
#include "heap/heap.h"

#include <time.h>

#define LARGEST_GRANT GROUP_PAGES
#define ASIDES_FOR_A_VIEW 64

/* Between check and use: a test makes this moment long. */
#ifndef TMEBOX_HEAP_PAUSE_NS
#define TMEBOX_HEAP_PAUSE_NS 0
#endif

static void pause_if_tested(void) {
    if (TMEBOX_HEAP_PAUSE_NS != 0) {
        nanosleep(&(struct timespec){0, TMEBOX_HEAP_PAUSE_NS}, NULL);
    }
}

/* How many pages to grant at a fault: one at first, more for who goes on from there, as far as they are alike. */
static uint32_t pages_at(const struct heap *heap, struct heap_view *view, uint32_t page) {
    uint32_t count = 1;
    if (page == view->next_page && view->last_count != 0) {
        count = view->last_count < LARGEST_GRANT / 2 ? 2 * view->last_count : LARGEST_GRANT;
    }
    uint32_t end = (page / GROUP_PAGES + 1) * GROUP_PAGES, last = page + 1;
    end = end < heap->page_count ? end : heap->page_count;
    end = end - page < count ? end : page + count;
    while (last < end && heap->pages[last].owner == heap->pages[page].owner &&
           heap->pages[page].owner != HEAP_MIXED) { /* who owns a line in one need not own one in the next */
        last++;
    }
    return last - page;
}

/* A write to what nothing is mapped for is slow in the kernel, which takes a page for it before it asks whose it is. So
 * who is here often gets a view, though no page of it. Under the group's lock. */
static void count_aside(struct heap *heap, uint16_t key) {
    struct heap_view *view = heap->keys[key].view;
    if (view != NULL && !view->mapped && !view->refused && ++view->asides == ASIDES_FOR_A_VIEW) {
        heap->backend->attach(view);
    }
}

/* Under the group's lock. */
static bool granted(struct heap *heap, uint16_t key, uint32_t page, unsigned rights) {
    struct heap_view *view = heap->keys[key].view;
    if (view == NULL || !heap->backend->attach(view)) {
        return false;
    }
    uint32_t count = pages_at(heap, view, page);
    for (uint32_t i = 0; i < count; i++) { /* marked before it is there */
        heap->pages[page + i].granted = true;
    }
    uint32_t done = heap->backend->grant(view, page, count, rights);
    view->next_page = page + (done != 0 ? done : 1);
    view->last_count = done;
    return done != 0;
}

enum heap_fault tmebox_heap_fault(struct heap *heap, uint16_t key, uint64_t offset, enum heap_access access,
                                  struct heap_violation *violation) {
    uint64_t place = offset - TMEBOX_SHARED_START;
    if (place >= heap->size_bytes) {
        return FAULT_NO_HEAP;
    }
    uint32_t page = (uint32_t)(place / TMEBOX_PAGE_SIZE), line = (uint32_t)(place / LINE % LINES);
    struct heap_lock *lock = tmebox_heap_group(heap, page);
    enum heap_fault result = FAULT_ASIDE;
    tmebox_heap_lock(lock);
    if (!tmebox_heap_may(heap, key, place, 1, access, violation)) {
        result = FAULT_REFUSED;
    } else if (heap->pages[page].owner != HEAP_MIXED || heap->backend->grants_mixed) {
        unsigned rights = tmebox_heap_rights(heap, key, page, line);
        pause_if_tested();
        result = granted(heap, key, page, rights) ? FAULT_GRANTED : FAULT_ASIDE;
    } else {
        count_aside(heap, key);
    }
    tmebox_heap_unlock(lock);
    return result;
}

/* -- copies on a sandbox's behalf -------------------------------------------------------------------------- */
/* Whether [offset, offset + size), at least a byte, is all in the heap. */
static bool is_inside(const struct heap *heap, uint64_t offset, uint64_t size) {
    uint64_t place = offset - TMEBOX_SHARED_START;
    return size != 0 && place < heap->size_bytes && size <= heap->size_bytes - place;
}

/* Where the bytes are, under the groups' locks, which stay with the caller; NULL: not all is the key's, see *bad. One page's
 * part at a time would let the owner change half-way. */
static unsigned char *begin_copy(struct heap *heap, uint16_t key, uint64_t offset, uint64_t size, enum heap_access access,
                                 struct heap_bad *bad) {
    struct heap_violation violation;
    uint64_t place = offset - TMEBOX_SHARED_START;
    unsigned char *there = NULL;
    *bad = (struct heap_bad){place, 0, key};
    if (!tmebox_heap_may(heap, key, place, size, access, &violation)) {
        bad->place = violation.offset - TMEBOX_SHARED_START;
        if (tmebox_heap_asks_memory(heap, access)) {
            bad->outcome = heap->backend->check(heap, key, bad->place);
        }
    } else if ((there = heap->backend->side_begin(heap, key, place, (uint32_t)size)) == NULL) {
        tmebox_heap_first_bad(heap, place, size, bad);
    }
    return there;
}

bool tmebox_heap_copy_out(struct heap *heap, uint16_t key, void *to, uint64_t offset, uint64_t size,
                          struct heap_bad *bad) {
    uint64_t place = offset - TMEBOX_SHARED_START;
    *bad = (struct heap_bad){place, 0, key};
    if (!is_inside(heap, offset, size)) {
        return false;
    }
    tmebox_heap_lock_groups(heap, place, size);
    unsigned char *there = begin_copy(heap, key, offset, size, HEAP_READS, bad);
    uint64_t stopped_at;
    bool good = false;
    if (there != NULL) {
        good = tmebox_heap_copied(to, there, size, &stopped_at);
        heap->backend->side_end(heap, key, place, (uint32_t)size, false);
    }
    tmebox_heap_unlock_groups(heap, place, size);
    return good;
}

bool tmebox_heap_copy_in(struct heap *heap, uint16_t key, uint64_t offset, const void *from, uint64_t size,
                         struct heap_bad *bad) {
    uint64_t place = offset - TMEBOX_SHARED_START;
    *bad = (struct heap_bad){place, 0, key};
    if (!is_inside(heap, offset, size)) {
        return false;
    }
    tmebox_heap_lock_groups(heap, place, size);
    unsigned char *there = begin_copy(heap, key, offset, size, HEAP_WRITES, bad);
    uint64_t stopped_at;
    bool good = false;
    if (there != NULL) {
        good = tmebox_heap_copied(there, from, size, &stopped_at);
        heap->backend->side_end(heap, key, place, (uint32_t)size, true);
    }
    tmebox_heap_unlock_groups(heap, place, size);
    return good;
}
