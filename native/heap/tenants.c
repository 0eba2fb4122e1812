/* Sandboxes that come to a heap and go: their keys, their views, and what becomes of their blocks. */
#include "heap/views.h"
#include "windows/window.h"

#include <errno.h>
#include <stdlib.h>

#define ALL UINT64_MAX

/* -- sandboxes ------------------------------------------------------------------------------------------ */
static struct heap_view *view_for(struct heap *heap, struct window *window, uint64_t base) {
    if (window->view == NULL) {
        size_t fits = heap->source != NULL ? heap->size_bytes : 0; /* a device maps its views itself */
        struct heap_view *view = tmebox_heap_keep_hole(window, fits) ? calloc(1, sizeof *view) : NULL;
        if (view == NULL) {
            return NULL;
        }
        tmebox_heap_hold(heap);
        view->heap = heap;
        view->window = window;
        view->base = base;
        window->view = view;
    }
    return window->view;
}

uint16_t tmebox_heap_attach(struct heap *heap, struct window *window, uint64_t base, uint64_t limit_lines) {
    bool another = window->view != NULL && (window->view->heap != heap || window->view->key != 0);
    struct heap_view *view = another && !tmebox_view_ended(window) ? NULL : view_for(heap, window, base);
    if (view == NULL) {
        errno = ENOMEM;
        return 0;
    }
    tmebox_heap_lock(&heap->lock);
    tmebox_heap_bury(heap);
    uint16_t key = tmebox_heap_take_key(heap, KEY_SANDBOX);
    int error = EAGAIN;
    if (key != 0 && heap->backend->tenant_begin != NULL && !heap->backend->tenant_begin(heap, key)) {
        error = errno;
        tmebox_heap_return_key(heap, key);
        key = 0;
    }
    if (key != 0) {
        heap->keys[key].limit = limit_lines;
        heap->keys[key].view = view;
        view->key = key;
        view->next_page = view->last_count = view->asides = 0;
    }
    tmebox_heap_unlock(&heap->lock);
    errno = error;
    return key;
}

static void free_guest_blocks_of(struct heap *heap, uint32_t number, uint16_t key) {
    uint64_t guest = heap->pages[number].guest;
    for (; guest != 0; guest &= guest - 1) { /* the page may be gone after the last */
        uint32_t line = (uint32_t)__builtin_ctzll(guest);
        if (tmebox_heap_owner(heap, number, line) == key) {
            tmebox_heap_drop_handle(heap, number * LINES + line);
            tmebox_heap_free(heap, number * LINES + line);
        }
    }
}

static void free_guest_blocks_on(struct heap *heap, uint32_t list, uint16_t key) {
    for (uint32_t number = list, next; number != HEAP_NOWHERE; number = next) {
        next = heap->pages[number].next;
        if (heap->pages[number].kind == PAGE_RUN) {
            if (heap->pages[number].flags & PAGE_GUEST) {
                tmebox_heap_free(heap, number * LINES);
            }
        } else {
            free_guest_blocks_of(heap, number, key);
        }
    }
}

void tmebox_heap_end_guest_blocks(struct heap *heap, uint16_t key) {
    struct heap_key *self = &heap->keys[key];
    if (self->guest_blocks != 0) {
        free_guest_blocks_on(heap, self->runs, key);
        free_guest_blocks_on(heap, self->full, key);
        free_guest_blocks_on(heap, self->partial, key);
    }
    if (self->guest_blocks != 0 && self->dense_lines != 0) {
        free_guest_blocks_on(heap, heap->dense_full, key);
        free_guest_blocks_on(heap, heap->dense_partial, key);
    }
}

static void give_blocks_of(struct heap *heap, uint32_t number, uint16_t from) {
    uint64_t starts = heap->pages[number].starts;
    for (; starts != 0; starts &= starts - 1) {
        uint32_t line = (uint32_t)__builtin_ctzll(starts);
        if (tmebox_heap_owner(heap, number, line) == from) {
            tmebox_heap_transfer(heap, number * LINES + line, HEAP_HOST);
        }
    }
}

/* A page that only this owner has blocks in. */
static void give_page(struct heap *heap, uint32_t *list, uint16_t from) {
    uint32_t number = *list;
    struct heap_page *page = &heap->pages[number];
    struct heap_key *host = &heap->keys[HEAP_HOST];
    uint64_t lines = (uint64_t)__builtin_popcountll(page->used);
    tmebox_heap_unlink(heap, list, number);
    tmebox_heap_link(heap, page->used == ALL ? &host->full : &host->partial, number);
    heap->keys[from].lines -= lines;
    host->lines += lines;
    for (uint64_t bits = page->starts & page->movable; bits != 0; bits &= bits - 1) {
        heap->handles[heap->handle_at[number][__builtin_ctzll(bits)]].pins = 0;
    }
    tmebox_heap_give_pages(heap, number, 1, HEAP_HOST, false);
}

static void give_all_to_host(struct heap *heap, uint16_t key) {
    struct heap_key *self = &heap->keys[key];
    while (self->runs != HEAP_NOWHERE) {
        tmebox_heap_transfer(heap, self->runs * LINES, HEAP_HOST);
    }
    while (self->full != HEAP_NOWHERE) {
        give_page(heap, &self->full, key);
    }
    while (self->partial != HEAP_NOWHERE) {
        give_page(heap, &self->partial, key);
    }
    const uint32_t lists[] = {heap->dense_full, heap->dense_partial};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        for (uint32_t number = lists[i], next; number != HEAP_NOWHERE && self->dense_lines != 0; number = next) {
            next = heap->pages[number].next;
            give_blocks_of(heap, number, key);
        }
    }
}

void tmebox_heap_detach(struct heap *heap, uint16_t key) {
    tmebox_heap_lock(&heap->lock);
    tmebox_heap_bury(heap);
    struct heap_key *self = &heap->keys[key];
    tmebox_heap_end_guest_blocks(heap, key);
    give_all_to_host(heap, key);
    tmebox_heap_leave_domains(heap, key);
    if (self->spare != HEAP_NOWHERE) {
        tmebox_heap_return_pages(heap, self->spare, 1);
        heap->spare_pages--;
        self->spare = HEAP_NOWHERE;
    }
    if (heap->backend->tenant_end != NULL) {
        heap->backend->tenant_end(heap, key);
    }
    if (self->view != NULL) {
        self->view->key = 0;
        self->view = NULL;
    }
    tmebox_heap_return_key(heap, key);
    tmebox_heap_unlock(&heap->lock);
}

void tmebox_heap_close(struct heap *heap) {
    heap->closed = true;
    for (uint32_t key = 1; key < heap->key_end; key++) {
        if (heap->keys[key].state != KEY_FREE) { /* a domain ends with its last block */
            give_all_to_host(heap, (uint16_t)key);
        }
    }
}

/* -- windows -------------------------------------------------------------------------------------------- */
static bool on_window_emptied(struct window *window) {
    struct heap_view *view = window->view;
    struct heap *heap = view->heap;
    if (view->key != 0 && tmebox_heap_is_ours(heap)) {
        tmebox_heap_detach(heap, view->key);
    }
    if (!heap->backend->detach(view)) {
        return false;
    }
    window->view = NULL;
    tmebox_heap_let_go(heap);
    free(view);
    return true;
}

static void on_window_parked(struct window *window) {
    struct heap_view *view = window->view;
    if (view->key != 0) {
        tmebox_heap_detach(view->heap, view->key);
    }
}

static bool is_filled(struct window *window) {
    return tmebox_heap_keep_hole(window, 0);
}

void tmebox_heap_init(void) {
    tmebox_hole_filled = is_filled;
    tmebox_view_ended = on_window_emptied;
    tmebox_view_parked = on_window_parked;
}
