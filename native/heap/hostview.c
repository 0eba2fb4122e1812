/* What the host does with the heap's memory, where a backend keeps that somewhere else: it is brought, and taken away
 * again, under the locks of the groups concerned. */
#include "heap/heap.h"
#include "windows/window.h"

#include <string.h>

void tmebox_heap_first_bad(const struct heap *heap, uint64_t place, uint64_t size, struct heap_bad *bad) {
    *bad = (struct heap_bad){place, TME_INTEGRITY, HEAP_HOST};
    for (uint64_t at = place / LINE * LINE; at < place + size; at += LINE) {
        uint16_t owner = tmebox_heap_owner(heap, (uint32_t)(at / TMEBOX_PAGE_SIZE), (uint32_t)(at / LINE % LINES));
        int outcome = heap->backend->check != NULL ? heap->backend->check(heap, owner, at) : TME_DONE;
        if (outcome != TME_DONE) {
            *bad = (struct heap_bad){at < place ? place : at, outcome, owner};
            return;
        }
    }
}

int tmebox_heap_check(struct heap *heap, uint16_t key, uint64_t place) {
    if (heap->backend->check == NULL) {
        return 0;
    }
    struct heap_lock *lock = tmebox_heap_group(heap, (uint32_t)(place / TMEBOX_PAGE_SIZE));
    tmebox_heap_lock(lock);
    int found = heap->backend->check(heap, key, place);
    tmebox_heap_unlock(lock);
    return found;
}

void tmebox_heap_report(struct heap *heap, uint16_t key, uint64_t place, uint64_t size, enum heap_access access,
                        struct heap_bad *bad) {
    struct heap_violation violation;
    tmebox_heap_lock_groups(heap, place, size);
    if (tmebox_heap_may(heap, key, place, size, access, &violation)) {
        uint64_t at = heap->backend->report(heap, place, size);
        uint16_t owner = tmebox_heap_owner(heap, (uint32_t)(at / TMEBOX_PAGE_SIZE), (uint32_t)(at / LINE % LINES));
        *bad = (struct heap_bad){at, TME_INTEGRITY, owner};
    } else {
        *bad = (struct heap_bad){violation.offset - TMEBOX_SHARED_START, TME_INTEGRITY, (uint16_t)violation.owner};
    }
    tmebox_heap_unlock_groups(heap, place, size);
}

bool tmebox_heap_copied(void *to, const void *from, size_t size, uint64_t *stopped_at) {
    uintptr_t there = (uintptr_t)to, here = (uintptr_t)from;
    if (there - here >= size && here - there >= size) {
        struct window_fault fault = tmebox_window_copy(to, from, size);
        *stopped_at = fault.address;
        return fault.how == 0;
    }
    memmove(to, from, size); /* an array's bytes within it: no other sandbox has reached those pages */
    return true;
}

unsigned char *tmebox_heap_host_begin(struct heap *heap, uint64_t place, uint64_t size, struct heap_bad *bad) {
    if (!heap->backend->host_asks || size == 0) {
        return heap->host + place;
    }
    tmebox_heap_lock_groups(heap, place, size);
    unsigned char *there = heap->backend->side_begin(heap, HEAP_HOST, place, (uint32_t)size);
    if (there == NULL) {
        tmebox_heap_first_bad(heap, place, size, bad);
        tmebox_heap_unlock_groups(heap, place, size);
    }
    return there;
}

void tmebox_heap_host_end(struct heap *heap, uint64_t place, uint64_t size, bool wrote) {
    if (heap->backend->host_asks && size != 0) {
        heap->backend->side_end(heap, HEAP_HOST, place, (uint32_t)size, wrote);
        tmebox_heap_unlock_groups(heap, place, size);
    }
}

bool tmebox_heap_look(struct heap *heap, uint32_t page, bool more, struct heap_bad *bad) {
    if (heap->backend->look == NULL) {
        return true;
    }
    uint64_t place = (uint64_t)page * TMEBOX_PAGE_SIZE;
    uint32_t count = heap->pages[page].run, done = 0;
    uint64_t size = (uint64_t)count * TMEBOX_PAGE_SIZE;
    tmebox_heap_lock_groups(heap, place, size);
    while (done < count && heap->backend->look(heap, page + done, more ? 1 : -1)) {
        done++;
    }
    if (done < count) {
        tmebox_heap_first_bad(heap, place + (uint64_t)done * TMEBOX_PAGE_SIZE, TMEBOX_PAGE_SIZE, bad);
        for (uint32_t i = 0; i < done; i++) {
            heap->backend->look(heap, page + i, -1);
        }
    }
    tmebox_heap_unlock_groups(heap, place, size);
    return done == count;
}

void tmebox_heap_flush(struct heap *heap) {
    for (uint32_t page = 0; heap->backend->flush != NULL && page < heap->page_count; page++) {
        if (heap->pages[page].kind == PAGE_FREE) {
            continue;
        }
        struct heap_lock *lock = tmebox_heap_group(heap, page);
        tmebox_heap_lock(lock);
        if (heap->pages[page].granted) {
            tmebox_heap_withdraw(heap, page, 1);
        }
        heap->backend->flush(heap, page);
        tmebox_heap_unlock(lock);
    }
}
