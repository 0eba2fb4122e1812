/* The backend for processors with memory encryption (TME-MK), through the driver's device. A line is encrypted with the key
 * that the processor has for its owner, and a sandbox's view carries that key in its page-table entries. A page is in the
 * views of all who own a line in it: another's line does not verify under their keys, and the processor stops the access.
 *
 * Pages of a shared domain have the host's key. They are in the views of its members, under that key.
 *
 * The host's own view carries one key in each page: its owner's. In a page of several owners it is the one whom the host, or
 * an instruction executed on the side, has looked at last. Keys change under the heap's lock, pages under the group's. */
#include "heap/tmemk.h"
#include "fixed.h"
#include "heap/views.h"
#include "windows/window.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../driver/tmebox_uapi.h"

#define MAPPINGS_EACH 2
#define LEAST_DESCRIPTOR 400 /* out of the way of who closes low numbers */

static uint64_t address_of(const struct heap_view *view) {
    return view->base + TMEBOX_SHARED_START;
}

/* -- the heap ------------------------------------------------------------------------------------------- */
static void end(struct heap *heap) {
    if (heap->enforcement != NULL) {
        if (heap->enforcement->aliases[HEAP_HOST] != NULL && tmebox_heap_is_ours(heap)) { /* no child has it */
            munmap(heap->enforcement->aliases[HEAP_HOST], heap->size_bytes);
        }
        close(heap->enforcement->device);
        free(heap->enforcement->host_ids);
        free(heap->enforcement);
        heap->enforcement = NULL;
    }
}

/* All pages under one key, wherever they are granted. NULL with errno set. */
static unsigned char *map_alias(const struct heap *heap, uint16_t id) {
    off_t offset = (off_t)(TMEBOX_ALIAS | TMEBOX_OFFSET(id, 0));
    void *alias = mmap(NULL, heap->size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, heap->enforcement->device, offset);
    return alias != MAP_FAILED ? alias : NULL;
}

/* Its own number for the device, which Python's may be closed beside. */
static bool begin(struct heap *heap, int device) {
    struct tmebox_create create = {.pages = heap->page_count};
    struct tmebox_info info;
    struct tmemk *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return false;
    }
    heap->enforcement = self;
    self->host_ids = calloc(heap->page_count, sizeof *self->host_ids);
    self->device = fcntl(device, F_DUPFD_CLOEXEC, LEAST_DESCRIPTOR);
    if (self->device < 0 && errno == EINVAL) {
        self->device = fcntl(device, F_DUPFD_CLOEXEC, 3);
    }
    if (self->host_ids != NULL && self->device >= 0 && ioctl(self->device, TMEBOX_IOC_INFO, &info) == 0 &&
        ioctl(self->device, TMEBOX_IOC_CREATE, &create) == 0) {
        self->coherent = info.flags & TMEBOX_COHERENT;
        self->aliases[HEAP_HOST] = map_alias(heap, 0);
        if (self->aliases[HEAP_HOST] != NULL && tmebox_heap_map_host(heap, self->device)) {
            return true;
        }
    }
    int error = errno;
    end(heap);
    errno = error;
    return false;
}

/* -- keys: under the heap's lock ------------------------------------------------------------------------ */
static bool tenant_begin(struct heap *heap, uint16_t key) {
    struct tmemk *self = heap->enforcement;
    struct tmebox_key_number number = {0, 0};
    while (ioctl(self->device, TMEBOX_IOC_KEY_ALLOC, &number) < 0) {
        if (errno != EINTR) {
            return false;
        }
    }
    bool room = tmebox_take_mappings(1, true);
    errno = ENOMEM;
    self->aliases[key] = room ? map_alias(heap, (uint16_t)number.key) : NULL;
    if (self->aliases[key] == NULL) {
        int error = errno;
        if (room) {
            tmebox_return_mappings(1);
        }
        ioctl(self->device, TMEBOX_IOC_KEY_FREE, &number);
        errno = error;
        return false;
    }
    self->ids[key] = (uint16_t)number.key;
    return true;
}

/* Its window may serve another sandbox while another has this number: so the mapping goes first. */
static void hide(struct heap_view *view) {
    if (!view->mapped) {
        return;
    }
    if (tmebox_window_part_again(address_of(view), view->heap->size_bytes)) {
        tmebox_return_mappings(MAPPINGS_EACH);
        view->mapped = false;
    } else if (mprotect((void *)address_of(view), view->heap->size_bytes, PROT_NONE) < 0) {
        abort(); /* a whole mapping: it needs no other */
    } else {
        view->refused = true;
    }
}

/* No line has the key any more. The driver would write zeros into a page whose owner it is told is gone. */
static void tenant_end(struct heap *heap, uint16_t key) {
    struct tmemk *self = heap->enforcement;
    struct tmebox_key_number number = {self->ids[key], 0};
    if (number.key == 0) {
        return;
    }
    if (heap->keys[key].view != NULL) {
        hide(heap->keys[key].view);
    }
    for (uint32_t page = 0; page < heap->page_count; page++) {
        if (self->host_ids[page] == number.key) {
            struct heap_lock *lock = tmebox_heap_group(heap, page);
            tmebox_heap_lock(lock);
            tmebox_tmemk_show_host(heap, page, 0);
            tmebox_heap_unlock(lock);
        }
    }
    munmap(self->aliases[key], heap->size_bytes);
    tmebox_return_mappings(1);
    self->aliases[key] = NULL;
    self->ids[key] = 0;
    while (ioctl(self->device, TMEBOX_IOC_KEY_FREE, &number) < 0 && errno == EINTR) {
    }
}

/* -- pages: under the groups' locks --------------------------------------------------------------------- */
/* Nobody owns them, so nobody's view has them. */
static bool discard(struct heap *heap, uint32_t page, uint32_t count) {
    if (tmebox_tmemk_call(heap, TMEBOX_IOC_DISCARD, 0, page, count, 0) != 0) {
        return false;
    }
    for (uint32_t i = page; i < page + count; i++) {
        heap->enforcement->host_ids[i] = 0;
    }
    return true;
}

static bool attach(struct heap_view *view) {
    uint16_t id = view->heap->enforcement->ids[view->key];
    if (view->mapped || view->refused || id == 0) {
        return view->mapped && !view->refused;
    }
    tmebox_heap_lock(&view->lock);
    if (!view->mapped && !view->refused) {
        int saved = errno;
        bool may = tmebox_take_mappings(MAPPINGS_EACH, true);
        enum placed placed = AS_BEFORE;
        if (may) {
            placed = tmebox_map_device_over((void *)address_of(view), view->heap->size_bytes,
                                            view->heap->enforcement->device, (off_t)TMEBOX_OFFSET(id, 0));
        }
        if (may && placed == AS_BEFORE) {
            tmebox_return_mappings(MAPPINGS_EACH);
        }
        view->refused = placed != PLACED;
        view->mapped = placed != AS_BEFORE; /* what is there goes when the view does */
        errno = saved;
    }
    tmebox_heap_unlock(&view->lock);
    return !view->refused;
}

static bool detach(struct heap_view *view) {
    if (view->mapped) {
        if (!tmebox_window_part_again(address_of(view), view->heap->size_bytes)) {
            return false;
        }
        tmebox_return_mappings(MAPPINGS_EACH);
    }
    view->mapped = view->refused = false;
    return true;
}

/* Of a domain's pages the entries carry the key that the page has for the host, too. */
static uint32_t grant(struct heap_view *view, uint32_t page, uint32_t count, unsigned rights) {
    struct heap *heap = view->heap;
    uint16_t owner = heap->pages[page].owner;
    bool shared = owner != HEAP_MIXED && heap->keys[owner].state == KEY_DOMAIN;
    uint32_t allowed = rights & RIGHT_WRITE ? TMEBOX_READ | TMEBOX_WRITE : TMEBOX_READ;
    allowed |= shared ? TMEBOX_AS_OWNER : 0;
    uint16_t id = heap->enforcement->ids[view->key];
    return tmebox_tmemk_call(heap, TMEBOX_IOC_GRANT, id, page, count, allowed) == 0 ? count : 0;
}

/* If the driver does not answer, because the host closed the device's number, the whole view goes. */
static void withdraw(struct heap_view *view, uint32_t page, uint32_t count) {
    uint16_t id = view->heap->enforcement->ids[view->key];
    if (!view->mapped || id == 0) {
        return;
    }
    if (tmebox_tmemk_call(view->heap, TMEBOX_IOC_REVOKE, id, page, count, TMEBOX_READ | TMEBOX_WRITE) != 0) {
        view->refused = true;
        if (mprotect((void *)address_of(view), view->heap->size_bytes, PROT_NONE) < 0) {
            abort(); /* a whole mapping: it needs no other */
        }
    }
}

/* Through the host's view. Nobody may access lines of two owners in one page at once. */
static unsigned char *side_begin(struct heap *heap, uint16_t key, uint64_t place, uint32_t size) {
    (void)key;
    for (uint64_t at = place; at < place + size; at = (at / TMEBOX_PAGE_SIZE + 1) * TMEBOX_PAGE_SIZE) {
        uint32_t page = (uint32_t)(at / TMEBOX_PAGE_SIZE);
        uint16_t owner = tmebox_heap_owner(heap, page, (uint32_t)(at / LINE % LINES));
        if (!tmebox_tmemk_show_host(heap, page, heap->enforcement->ids[owner])) {
            return NULL;
        }
    }
    return heap->host + place;
}

static void side_end(struct heap *heap, uint16_t key, uint64_t place, uint32_t size, bool wrote) {
    (void)heap, (void)key, (void)place, (void)size, (void)wrote;
}

#define SAME \
    .host_asks = true, .begin = begin, .end = end, .discard = discard, .tenant_begin = tenant_begin, \
    .tenant_end = tenant_end, .detach = detach, .grant = grant, .revoke = withdraw, .rekey = tmebox_tmemk_rekey, \
    .rekey_pages = tmebox_tmemk_rekey_pages, .zero = tmebox_tmemk_zero, .copy = tmebox_tmemk_copy, .side_begin = side_begin, .side_end = side_end, \
    .report = tmebox_tmemk_report

const struct heap_backend tmebox_heap_tmemk = {
    .name = "tmemk",
    .grants_mixed = true,
    .attach = attach,
    SAME,
};

const struct heap_backend tmebox_heap_tmemk_without_views = {
    .name = "tmemk without views",
    .detects_access = true,
    .attach = tmebox_heap_never_attached, /* the table decides before the memory is asked */
    SAME,
};
