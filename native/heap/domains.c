/* Shared domains: blocks that several sandboxes may use, each with its rights. The lines have a key that stands for
 * them all. Under the heap's lock. */
#include "heap/heap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int tmebox_heap_share(struct heap *heap, uint32_t start, const struct heap_member *members, uint32_t count) {
    struct heap_page *page = &heap->pages[start / LINES];
    if (page->kind != PAGE_RUN || !(page->flags & PAGE_SHAREABLE)) {
        return EINVAL;
    }
    struct heap_domain *domain = malloc(sizeof *domain + count * sizeof *members);
    if (domain == NULL) {
        return ENOMEM;
    }
    uint16_t key = tmebox_heap_take_key(heap, KEY_DOMAIN);
    if (key == 0) {
        free(domain);
        return EAGAIN;
    }
    domain->count = count;
    memcpy(domain->members, members, count * sizeof *members);
    heap->keys[key].domain = domain;
    heap->keys[key].next_domain = heap->domains;
    heap->domains = key;
    for (uint32_t i = 0; i < count; i++) {
        heap->keys[members[i].key].memberships++;
    }
    return tmebox_heap_transfer(heap, start, key);
}

/* Takes what the domain has out of the view of one that leaves. */
static void hide(struct heap *heap, uint16_t domain, uint16_t key) {
    struct heap_view *view = heap->keys[key].view;
    for (uint32_t run = heap->keys[domain].runs; view != NULL && run != HEAP_NOWHERE; run = heap->pages[run].next) {
        uint32_t end = run + heap->pages[run].run;
        for (uint32_t page = run, next; page < end; page = next) {
            next = (page / GROUP_PAGES + 1) * GROUP_PAGES;
            next = next < end ? next : end;
            struct heap_lock *lock = tmebox_heap_group(heap, page);
            tmebox_heap_lock(lock);
            heap->backend->revoke(view, page, next - page);
            tmebox_heap_unlock(lock);
        }
    }
}

static bool leave(struct heap *heap, uint16_t key, uint16_t domain) {
    struct heap_domain *self = heap->keys[domain].domain;
    bool others = false;
    for (uint32_t i = 0; i < self->count; i++) {
        if (self->members[i].key == key) {
            self->members[i].key = HEAP_HOST; /* no call of it runs: nobody is looking for it */
            hide(heap, domain, key);
        }
        others |= self->members[i].key != HEAP_HOST;
    }
    return others;
}

void tmebox_heap_leave_domains(struct heap *heap, uint16_t key) {
    if (heap->keys[key].memberships == 0) {
        return;
    }
    heap->keys[key].memberships = 0;
    for (uint16_t domain = heap->domains, next; domain != 0; domain = next) {
        next = heap->keys[domain].next_domain;
        bool others = leave(heap, key, domain);
        while (!others && heap->keys[domain].state == KEY_DOMAIN) { /* its end makes it free */
            tmebox_heap_transfer(heap, heap->keys[domain].runs * LINES, HEAP_HOST);
        }
    }
}
