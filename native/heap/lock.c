/* Locks of the heap: short, fair, and usable in signal handlers. */
#include "heap/heap.h"

#include <sched.h>

#define SPINS 64 /* what a short critical section takes on another CPU */

void tmebox_heap_wait(struct heap_lock *lock, uint32_t ticket) {
    for (unsigned spins = 0; atomic_load_explicit(&lock->serving, memory_order_acquire) != ticket; spins++) {
        if (spins < SPINS) {
            __builtin_ia32_pause();
        } else {
            sched_yield(); /* who has it may be waiting for this CPU */
        }
    }
}
