/* Keys: who can own lines. A sandbox has one from attach to detach, a set of sandboxes that share a block has one
 * as long as they do. Keys are used again, the oldest first. */
#include "heap/heap.h"

#include <stdlib.h>

uint16_t tmebox_heap_take_key(struct heap *heap, enum heap_key_state state) {
    uint16_t key;
    if (heap->key_end < heap->key_limit) { /* these have waited longest */
        key = (uint16_t)heap->key_end++;
    } else if (heap->free_key_count != 0) {
        key = heap->free_keys[heap->first_free_key];
        heap->first_free_key = (heap->first_free_key + 1) % HEAP_KEYS;
        heap->free_key_count--;
    } else {
        return 0;
    }
    struct heap_key *self = &heap->keys[key];
    self->partial = self->full = self->runs = self->spare = HEAP_NOWHERE;
    self->lines = self->dense_lines = 0;
    self->limit = UINT64_MAX;
    self->guest_blocks = 0;
    self->view = NULL;
    self->domain = NULL;
    self->state = (uint8_t)state;
    if (heap->backend->begin_key != NULL && !heap->backend->begin_key(heap, key)) {
        tmebox_heap_return_key(heap, key);
        return 0;
    }
    return key;
}

void tmebox_heap_return_key(struct heap *heap, uint16_t key) {
    struct heap_key *self = &heap->keys[key];
    self->state = KEY_FREE;
    self->serial++; /* permits for it are none any more */
    free(self->permits);
    self->permits = NULL;
    self->permit_count = self->permit_room = 0;
    heap->free_keys[(heap->first_free_key + heap->free_key_count) % HEAP_KEYS] = key;
    heap->free_key_count++;
}

/* -- permits -------------------------------------------------------------------------------------------- */
bool tmebox_heap_is_permitted(const struct heap *heap, uint16_t from, uint16_t to) {
    const struct heap_key *self = &heap->keys[from];
    for (uint32_t i = 0; i < self->permit_count; i++) {
        if (self->permits[i].key == to) {
            return self->permits[i].serial == heap->keys[to].serial;
        }
    }
    return false;
}

bool tmebox_heap_permit(struct heap *heap, uint16_t from, uint16_t to) {
    struct heap_key *self = &heap->keys[from];
    struct heap_permit permit = {to, heap->keys[to].serial};
    for (uint32_t i = 0; i < self->permit_count; i++) {
        if (self->permits[i].key == to) {
            self->permits[i] = permit;
            return true;
        }
    }
    if (self->permit_count == self->permit_room) {
        uint32_t more = 2 * self->permit_room + 4;
        struct heap_permit *permits = realloc(self->permits, more * sizeof permit);
        if (permits == NULL) {
            return false;
        }
        self->permits = permits;
        self->permit_room = more;
    }
    self->permits[self->permit_count++] = permit;
    return true;
}

/* -- domains ------------------------------------------------------------------------------------------- */
/* The last block of a domain is another's now: nobody holds a lock of a page with this key. */
void tmebox_heap_leave_domain(struct heap *heap, uint16_t key) {
    struct heap_key *self = &heap->keys[key];
    if (self->state != KEY_DOMAIN || self->runs != HEAP_NOWHERE) {
        return;
    }
    for (uint16_t *link = &heap->domains; *link != 0; link = &heap->keys[*link].next_domain) {
        if (*link == key) {
            *link = self->next_domain;
            break;
        }
    }
    struct heap_domain *domain = self->domain;
    tmebox_heap_return_key(heap, key);
    self->domain = NULL;
    free(domain);
}
