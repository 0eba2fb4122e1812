/* Handles: what names a block that may be moved. Under the heap's lock. */
#include "heap/heap.h"

#define INDEX(handle) ((handle) & ((1U << HEAP_HANDLE_BITS) - 1))
#define SERIAL(handle) ((handle) >> HEAP_HANDLE_BITS)

static uint32_t name(const struct heap *heap, uint32_t index) {
    return (uint32_t)heap->handles[index].serial << HEAP_HANDLE_BITS | index;
}

uint32_t tmebox_heap_make_handle(struct heap *heap, uint32_t start) {
    uint32_t index = heap->free_handle;
    if (index != 0) {
        heap->free_handle = heap->handles[index].next;
    } else if (heap->handle_count + 1 < heap->most_handles) {
        index = ++heap->handle_count; /* the first is no handle */
    } else {
        return 0;
    }
    struct heap_handle *handle = &heap->handles[index];
    handle->start = start;
    handle->pins = 0;
    heap->handle_at[start / LINES][start % LINES] = index;
    return name(heap, index);
}

uint32_t tmebox_heap_handle_of(const struct heap *heap, uint32_t start) {
    const struct heap_page *page = &heap->pages[start / LINES];
    bool block = page->kind == PAGE_SMALL || page->kind == PAGE_RUN;
    bool movable = block && page->movable >> start % LINES & 1;
    return movable ? name(heap, heap->handle_at[start / LINES][start % LINES]) : 0;
}

struct heap_handle *tmebox_heap_handle(const struct heap *heap, uint32_t handle) {
    uint32_t index = INDEX(handle);
    bool known = index != 0 && index <= heap->handle_count && heap->handles[index].serial == SERIAL(handle) &&
                 heap->handles[index].start != HEAP_NOWHERE;
    return known ? &heap->handles[index] : NULL;
}

uint32_t tmebox_heap_handle_start(const struct heap *heap, uint32_t handle) {
    const struct heap_handle *self = tmebox_heap_handle(heap, handle);
    return self != NULL ? self->start : HEAP_NOWHERE;
}

void tmebox_heap_put_handle_by(struct heap *heap, struct heap_handle *handle) {
    handle->next = heap->free_handle;
    heap->free_handle = (uint32_t)(handle - heap->handles);
}

void tmebox_heap_drop_handle(struct heap *heap, uint32_t start) {
    struct heap_handle *handle = tmebox_heap_handle(heap, tmebox_heap_handle_of(heap, start));
    if (handle != NULL) {
        handle->start = HEAP_NOWHERE;
        handle->serial++; /* a name that somebody kept is none any more, for a while */
        if (handle->calls == 0) {
            tmebox_heap_put_handle_by(heap, handle);
        }
    }
}
