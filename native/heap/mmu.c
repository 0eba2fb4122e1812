/* The backend for any CPU: page tables. A view is a second mapping of the heap in a sandbox's window, in which no
 * page is present until it is granted here. A touch of any other page is a SIGBUS. */
#include "fixed.h"
#include "heap/views.h"
#include "newer.h"
#include "windows/window.h"

#include <errno.h>

static uint64_t address_of(const struct heap_view *view, uint32_t page) {
    return view->base + TMEBOX_SHARED_START + (uint64_t)page * TMEBOX_PAGE_SIZE;
}

/* Inaccessible until pages of it are granted: a host that locks what it maps would have it all there. NOTHING: of what is
 * there instead of the window's piece no page can be granted. */
static enum placed map(const struct heap_view *view) {
    void *to = (void *)address_of(view, 0);
    size_t size = view->heap->size_bytes;
    void *another = mremap(view->heap->source, 0, size, MREMAP_MAYMOVE); /* children have none of it, as of the source */
    enum placed placed = another != MAP_FAILED ? tmebox_move_over(another, to, size) : AS_BEFORE;
    return placed != PLACED || tmebox_userfault_open_up(to, size, true) == 0 ? placed : NOTHING;
}

static _Atomic uint32_t view_count;

uint32_t tmebox_heap_view_count(void) {
    return atomic_load(&view_count);
}

void tmebox_heap_views_after_fork(void) {
    atomic_store(&view_count, 0);
}

static bool take_mappings(void) {
    if (tmebox_take_mappings(HEAP_MAPPINGS, true)) {
        return true;
    }
    tmebox_heap_fill_holes();
    return tmebox_take_mappings(HEAP_MAPPINGS, true);
}

static bool attach(struct heap_view *view) {
    if (view->mapped || view->refused) { /* both only change under the lock, and stay while it is attached */
        return view->mapped && !view->refused;
    }
    tmebox_heap_lock(&view->lock);
    if (!view->mapped && !view->refused) {
        int error = errno;
        bool hole = tmebox_heap_take_hole(view->window), may = hole || take_mappings();
        enum placed placed = may ? map(view) : AS_BEFORE;
        view->refused = view->stays = placed != PLACED;
        view->mapped = hole || placed != AS_BEFORE; /* what is there goes when the view does */
        if (may && !view->mapped) {
            tmebox_return_mappings(HEAP_MAPPINGS);
        }
        atomic_fetch_add(&view_count, view->mapped);
        errno = error;
    }
    tmebox_heap_unlock(&view->lock);
    return !view->refused;
}

static bool detach(struct heap_view *view) {
    size_t size = view->heap->size_bytes;
    if (view->mapped) {
        if (!tmebox_heap_leave_hole(view->window, view->base, size)) {
            if (!tmebox_window_part_again(address_of(view, 0), size)) {
                return false; /* the host has used up the mappings that a process may have */
            }
            tmebox_return_mappings(HEAP_MAPPINGS);
        }
        atomic_fetch_sub(&view_count, 1);
    }
    view->mapped = view->refused = false;
    return true;
}

/* Memory for a page that has none yet. */
static bool populate(const struct heap *heap, uint32_t page) {
    unsigned char *there = heap->host + (uint64_t)page * TMEBOX_PAGE_SIZE;
    if (madvise(there, TMEBOX_PAGE_SIZE, MADV_POPULATE_WRITE) < 0) {
        if (errno != EINVAL) {
            return false;
        }
        __atomic_fetch_or(there, 0, __ATOMIC_RELAXED); /* a kernel before 5.14 */
    }
    return true;
}

static uint32_t grant(struct heap_view *view, uint32_t page, uint32_t count, unsigned rights) {
    bool read_only = !(rights & RIGHT_WRITE);
    uint32_t done = 0;
    int saved = errno;
    while (done < count) {
        uint64_t address = address_of(view, page + done);
        int64_t more = tmebox_userfault_continue(address, (uint64_t)(count - done) * TMEBOX_PAGE_SIZE, read_only);
        if (more == -EFAULT && done == 0 && populate(view->heap, page)) {
            more = tmebox_userfault_continue(address, TMEBOX_PAGE_SIZE, read_only);
        }
        if (more == -EEXIST) {
            if (!read_only) {
                tmebox_userfault_unprotect(address);
            }
            more = TMEBOX_PAGE_SIZE;
        }
        if (more == -ENOENT && count - done > 1) { /* it is in two mappings */
            count = done + 1;
            continue;
        }
        if (more <= 0) {
            break;
        }
        done += (uint32_t)(more / TMEBOX_PAGE_SIZE);
    }
    errno = saved;
    return done;
}

static void withdraw(struct heap_view *view, uint32_t page, uint32_t count) {
    if (view->mapped) {
        int error = errno;
        uint64_t start = TMEBOX_SHARED_START + (uint64_t)page * TMEBOX_PAGE_SIZE;
        tmebox_discard(view->base, start, start + (uint64_t)count * TMEBOX_PAGE_SIZE);
        errno = error;
    }
}

static unsigned char *side_begin(struct heap *heap, uint16_t key, uint64_t place, uint32_t size) {
    (void)key, (void)size;
    return heap->host + place;
}

static void side_end(struct heap *heap, uint16_t key, uint64_t place, uint32_t size, bool wrote) {
    (void)heap, (void)key, (void)place, (void)size, (void)wrote;
}

const struct heap_backend tmebox_heap_mmu = {
    .name = "mmu",
    .detects_access = true,
    .attach = attach,
    .detach = detach,
    .grant = grant,
    .revoke = withdraw,
    .carry = tmebox_heap_carry,
    .side_begin = side_begin,
    .side_end = side_end,
};

/* -- where pages cannot be granted one by one: everything is done on the side --------------------------- */
bool tmebox_heap_never_attached(struct heap_view *view) {
    (void)view;
    return false;
}

bool tmebox_heap_nothing_to_detach(struct heap_view *view) {
    (void)view;
    return true;
}

uint32_t tmebox_heap_nothing_granted(struct heap_view *view, uint32_t page, uint32_t count, unsigned rights) {
    (void)view, (void)page, (void)count, (void)rights;
    return 0;
}

void tmebox_heap_nothing_to_revoke(struct heap_view *view, uint32_t page, uint32_t count) {
    (void)view, (void)page, (void)count;
}

const struct heap_backend tmebox_heap_without_views = {
    .name = "mmu without views",
    .detects_access = true,
    HEAP_ALL_ASIDE,
    .side_begin = side_begin,
    .side_end = side_end,
};
