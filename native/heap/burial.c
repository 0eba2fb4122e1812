/* Blocks whose last reference went: they are freed when the heap is used next. */
#include "heap/heap.h"

#include <stdlib.h>

/* From a finalizer, which may come at any moment: no lock. */
void tmebox_heap_doom(struct heap *heap, struct heap_doomed *doomed) {
    doomed->next = atomic_load(&heap->doomed);
    while (!atomic_compare_exchange_weak(&heap->doomed, &doomed->next, doomed)) {
    }
}

RARE static void bury(struct heap *heap, struct heap_doomed *doomed) {
    while (doomed != NULL) {
        struct heap_doomed *next = doomed->next;
        uint32_t start = doomed->handle != 0 ? tmebox_heap_handle_start(heap, doomed->handle) : doomed->start;
        if (doomed->view) {
            tmebox_heap_view_ended(heap, start);
        } else if (start != HEAP_NOWHERE) {
            tmebox_heap_drop_handle(heap, start);
            tmebox_heap_free(heap, start);
        }
        free(doomed);
        doomed = next;
    }
}

void tmebox_heap_bury(struct heap *heap) {
    if (UNLIKELY(atomic_load_explicit(&heap->doomed, memory_order_relaxed) != NULL)) {
        bury(heap, atomic_exchange(&heap->doomed, NULL));
    }
}
