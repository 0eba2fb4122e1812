/* Locks of the heap: short, nobody is kept from them for ever, and usable in signal handlers. */
#include "heap/heap.h"

#include "moments.h"

#include <errno.h>

#define PATIENCE 64 /* how often to let others run, before those that come later have to wait */

#define GROUP_BYTES (GROUP_PAGES * (uint64_t)TMEBOX_PAGE_SIZE)

static bool take(struct heap_lock *lock, bool impatient) {
    return (impatient || atomic_load_explicit(&lock->impatient, memory_order_relaxed) == 0) &&
           atomic_load_explicit(&lock->held, memory_order_relaxed) == 0 &&
           atomic_exchange_explicit(&lock->held, 1, memory_order_acquire) == 0;
}

void tmebox_heap_wait(struct heap_lock *lock) {
    bool impatient = false;
    int error = errno;
    for (unsigned tries = 0; !take(lock, impatient); tries++) {
        if (tries == MOMENTS_OF_SPINNING + PATIENCE) {
            impatient = true;
            atomic_fetch_add_explicit(&lock->impatient, 1, memory_order_relaxed);
        }
        tmebox_wait_a_moment(tries);
    }
    if (impatient) {
        atomic_fetch_sub_explicit(&lock->impatient, 1, memory_order_relaxed);
    }
    errno = error;
}

/* In ascending order. */
void tmebox_heap_lock_groups(struct heap *heap, uint64_t place, uint64_t size) {
    for (uint64_t group = place / GROUP_BYTES; group <= (place + size - 1) / GROUP_BYTES; group++) {
        tmebox_heap_lock(&heap->groups[group]);
    }
}

void tmebox_heap_unlock_groups(struct heap *heap, uint64_t place, uint64_t size) {
    for (uint64_t group = place / GROUP_BYTES; group <= (place + size - 1) / GROUP_BYTES; group++) {
        tmebox_heap_unlock(&heap->groups[group]);
    }
}
