/* The backend for processors with memory encryption (TME-MK), through the driver's device. A page with one owner is
 * encrypted with the key that the processor has for that sandbox, and a sandbox's view carries the same key in its
 * page-table entries. Pages of several owners, and those of a shared domain, have the host's key and are in nobody's
 * view: what touches them is executed on the side.
 *
 * `ids` says which key of the processor each of the heap's keys has, `page_ids` which one each page is written with.
 * Both change under the heap's lock, the latter under the group's, too. */
#include "heap/heap.h"
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

struct tmemk {
    int device;
    uint16_t *page_ids;
    uint16_t ids[HEAP_KEYS]; /* 0: the host's */
};

static uint64_t address_of(const struct heap_view *view) {
    return view->base + TMEBOX_SHARED_START;
}

static int on_range(const struct heap *heap, unsigned long call, uint16_t id, uint32_t page, uint32_t count,
                    uint32_t rights) {
    struct tmebox_range range = {.key = id, .rights = rights, .first = page, .count = count};
    int saved = errno, error = 0;
    while (ioctl(heap->enforcement->device, call, &range) < 0) {
        if (errno != EINTR) {
            error = errno;
            break;
        }
    }
    errno = saved;
    return error;
}

/* -- the heap ------------------------------------------------------------------------------------------- */
static void end(struct heap *heap) {
    if (heap->enforcement != NULL) {
        close(heap->enforcement->device);
        free(heap->enforcement->page_ids);
        free(heap->enforcement);
        heap->enforcement = NULL;
    }
}

/* Its own number for the device, which Python's may be closed beside. */
static bool begin(struct heap *heap, int device) {
    struct tmebox_create create = {.pages = heap->page_count};
    struct tmemk *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return false;
    }
    heap->enforcement = self;
    self->page_ids = calloc(heap->page_count, sizeof *self->page_ids);
    self->device = fcntl(device, F_DUPFD_CLOEXEC, LEAST_DESCRIPTOR);
    if (self->device < 0 && errno == EINVAL) {
        self->device = fcntl(device, F_DUPFD_CLOEXEC, 3);
    }
    if (self->page_ids != NULL && self->device >= 0 && ioctl(self->device, TMEBOX_IOC_CREATE, &create) == 0) {
        void *host = mmap(NULL, heap->size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, self->device, 0);
        if (host != MAP_FAILED) {
            heap->host = host;
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
    struct tmebox_key_number number = {0, 0};
    while (ioctl(heap->enforcement->device, TMEBOX_IOC_KEY_ALLOC, &number) < 0) {
        if (errno != EINTR) {
            return false;
        }
    }
    heap->enforcement->ids[key] = (uint16_t)number.key;
    return true;
}

/* Its window may serve another sandbox while another has this number: so the mapping goes first. */
static void hide(struct heap_view *view) {
    if (!view->mapped) {
        return;
    }
    if (tmebox_window_part_again(address_of(view), view->heap->size_bytes, true)) {
        tmebox_return_mappings(MAPPINGS_EACH);
        view->mapped = false;
    } else if (mprotect((void *)address_of(view), view->heap->size_bytes, PROT_NONE) < 0) {
        abort(); /* a whole mapping: it needs no other */
    } else {
        view->refused = true;
    }
}

static void tenant_end(struct heap *heap, uint16_t key) {
    struct tmemk *self = heap->enforcement;
    struct tmebox_key_number number = {self->ids[key], 0};
    if (number.key == 0) {
        return;
    }
    if (heap->keys[key].view != NULL) {
        hide(heap->keys[key].view);
    }
    self->ids[key] = 0;
    while (ioctl(self->device, TMEBOX_IOC_KEY_FREE, &number) < 0 && errno == EINTR) {
    }
    /* Pages that nobody has any more: the driver wrote zeros of the host into them. */
    for (uint32_t page = 0; page < heap->page_count; page++) {
        if (self->page_ids[page] == number.key) {
            self->page_ids[page] = 0;
        }
    }
}

/* -- pages: under the groups' locks --------------------------------------------------------------------- */
static uint16_t wanted_id(const struct heap *heap, uint32_t page) {
    uint16_t owner = heap->pages[page].owner;
    return owner == HEAP_MIXED ? 0 : heap->enforcement->ids[owner];
}

/* The page is written with its owner's key. It keeps its bytes. */
static bool settle(struct heap *heap, uint32_t page) {
    uint16_t id = wanted_id(heap, page);
    if (heap->enforcement->page_ids[page] != id) {
        if (on_range(heap, TMEBOX_IOC_MOVE, id, page, 1, 0) != 0) {
            return false;
        }
        heap->enforcement->page_ids[page] = id;
    }
    return true;
}

/* Nobody owns them, so nobody's view has them. */
static bool discard(struct heap *heap, uint32_t page, uint32_t count) {
    if (on_range(heap, TMEBOX_IOC_DISCARD, 0, page, count, 0) != 0) {
        return false;
    }
    for (uint32_t i = page; i < page + count; i++) {
        heap->enforcement->page_ids[i] = 0;
    }
    return true;
}

static void rekey(struct heap *heap, uint32_t page, const uint16_t from[LINES]) {
    (void)from;
    settle(heap, page); /* if it fails, no view gets the page */
}

static bool attach(struct heap_view *view) {
    uint16_t id = view->heap->enforcement->ids[view->key];
    if (view->mapped || view->refused || id == 0) {
        return view->mapped && !view->refused;
    }
    tmebox_heap_lock(&view->lock);
    if (!view->mapped && !view->refused) {
        int saved = errno;
        void *to = (void *)address_of(view);
        view->refused = !tmebox_take_mappings(MAPPINGS_EACH, true);
        if (!view->refused && mmap(to, view->heap->size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
                                   view->heap->enforcement->device, (off_t)TMEBOX_OFFSET(id, 0)) != to) {
            view->refused = true;
            tmebox_return_mappings(MAPPINGS_EACH);
            tmebox_window_part_again(address_of(view), view->heap->size_bytes, true);
        }
        view->mapped = !view->refused;
        errno = saved;
    }
    tmebox_heap_unlock(&view->lock);
    return view->mapped;
}

static bool detach(struct heap_view *view) {
    if (view->mapped) {
        if (!tmebox_window_part_again(address_of(view), view->heap->size_bytes, true)) {
            return false;
        }
        tmebox_return_mappings(MAPPINGS_EACH);
    }
    view->mapped = view->refused = false;
    return true;
}

static uint32_t grant(struct heap_view *view, uint32_t page, uint32_t count, unsigned rights) {
    struct heap *heap = view->heap;
    uint16_t id = heap->enforcement->ids[view->key];
    uint32_t done = 0;
    while (done < count && heap->pages[page + done].owner == view->key && settle(heap, page + done)) {
        done++;
    }
    uint32_t allowed = rights & RIGHT_WRITE ? TMEBOX_READ | TMEBOX_WRITE : TMEBOX_READ;
    return done != 0 && on_range(heap, TMEBOX_IOC_GRANT, id, page, done, allowed) == 0 ? done : 0;
}

/* If the driver does not answer, because the host closed the device's number, the whole view goes. */
static void withdraw(struct heap_view *view, uint32_t page, uint32_t count) {
    uint16_t id = view->heap->enforcement->ids[view->key];
    if (!view->mapped || id == 0) {
        return;
    }
    if (on_range(view->heap, TMEBOX_IOC_REVOKE, id, page, count, TMEBOX_READ | TMEBOX_WRITE) != 0) {
        view->refused = true;
        if (mprotect((void *)address_of(view), view->heap->size_bytes, PROT_NONE) < 0) {
            abort(); /* a whole mapping: it needs no other */
        }
    }
}

/* Through the host's view, which carries each page's key. */
static unsigned char *side_begin(struct heap *heap, uint16_t key, uint64_t place, uint32_t size) {
    (void)key, (void)size;
    return heap->host + place;
}

static void side_end(struct heap *heap, uint16_t key, uint64_t place, uint32_t size, bool wrote) {
    (void)heap, (void)key, (void)place, (void)size, (void)wrote;
}

/* What was not granted is a fault with its address, before the memory is asked. */
static bool report(uint64_t *address) {
    (void)address;
    return false;
}

const struct heap_backend tmebox_heap_tmemk = {
    .name = "tmemk",
    .detects_access = true,
    .begin = begin,
    .end = end,
    .discard = discard,
    .tenant_begin = tenant_begin,
    .tenant_end = tenant_end,
    .attach = attach,
    .detach = detach,
    .grant = grant,
    .revoke = withdraw,
    .rekey = rekey,
    .side_begin = side_begin,
    .side_end = side_end,
    .report = report,
};
