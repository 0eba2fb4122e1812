/* Large read-only data: the same physical pages in every window, mapped over the part of the window where
 * they belong. It takes mappings, so only so many windows get it; in the others the pages are copied when
 * they are touched, like all the rest.
 *
 * The pages come from another mapping of them and not from a descriptor, whose number may be another file's
 * by now, if the host closes descriptors that are not its own. */
#include "fixed.h"
#include "windows/window.h"

#include <sys/mman.h>

#define SHARED_AT_LEAST (16 * PAGE)
#define MAPPINGS_EACH 2 /* it, and the window's other half */

/* A part of what the kernel allows by default, of which the host needs some as well. */
#define MOST_MAPPINGS 20000

static _Atomic uint32_t mappings, most_for_heaps;

bool (*tmebox_view_ended)(struct window *window);
void (*tmebox_view_parked)(struct window *window);
bool (*tmebox_hole_filled)(struct window *window);

bool tmebox_take_mappings(uint32_t count, bool for_heap) {
    uint32_t most = for_heap ? atomic_load(&most_for_heaps) : MOST_MAPPINGS;
    if (atomic_fetch_add(&mappings, count) + count > most) {
        tmebox_return_mappings(count);
        return false;
    }
    return true;
}

void tmebox_return_mappings(uint32_t count) {
    atomic_fetch_sub(&mappings, count);
}

void tmebox_allow_mappings(uint32_t most) {
    atomic_store(&most_for_heaps, most);
}

static bool is_large(const struct span *span) {
    return span->end - span->start >= SHARED_AT_LEAST;
}

bool tmebox_share(struct window *window, uint64_t base) {
    const struct template *template = window->template;
    uint64_t data_end = TMEBOX_IMAGE_START + (uint64_t)template->pages * PAGE;
    for (uint32_t i = 0; template->shared && i < template->read_only_count && i < SHARED_SPANS; i++) {
        const struct span *span = &template->read_only[i];
        if (!is_large(span) || span->end > data_end || !tmebox_take_mappings(MAPPINGS_EACH, false)) {
            continue;
        }
        /* An old size of 0 makes a second mapping of shared pages. */
        void *from = (void *)(uintptr_t)(template->data + (span->start - TMEBOX_IMAGE_START));
        void *another = mremap(from, 0, span->end - span->start, MREMAP_MAYMOVE);
        enum placed placed = AS_BEFORE;
        if (another != MAP_FAILED) {
            placed = tmebox_move_over(another, (void *)(base + span->start), span->end - span->start);
        }
        if (placed == AS_BEFORE) {
            tmebox_return_mappings(MAPPINGS_EACH);
        } else {
            window->shared |= 1U << i;
            window->broken |= placed == NOTHING;
        }
    }
    return !window->broken;
}

bool tmebox_is_shared(const struct window *window, uint32_t page) {
    const struct template *template = window->template;
    for (uint32_t bits = window->shared; bits != 0; bits &= bits - 1) {
        const struct span *span = &template->read_only[__builtin_ctz(bits)];
        if (page >= span->start / PAGE && page < span->end / PAGE) {
            return true;
        }
    }
    return false;
}

bool tmebox_window_part_again(uint64_t address, size_t size_bytes) {
    void *start = (void *)address;
    return tmebox_map_over(start, size_bytes, PROT_NONE) && tmebox_keep_to_process(start, size_bytes) &&
           tmebox_userfault_open_up(start, size_bytes, false) == 0;
}

bool tmebox_unshare(struct window *window, uint64_t base) {
    const struct template *template = window->template;
    for (; window->shared != 0; window->shared &= window->shared - 1) {
        const struct span *span = &template->read_only[__builtin_ctz(window->shared)];
        if (!tmebox_window_part_again(base + span->start, span->end - span->start)) {
            return false; /* the host has used up the mappings that a process may have */
        }
        tmebox_return_mappings(MAPPINGS_EACH);
    }
    window->broken = false;
    return true;
}

bool tmebox_blank_shared(const struct window *window, uint64_t base) {
    const struct template *template = window->template;
    bool blank = true;
    for (uint32_t bits = window->shared; bits != 0; bits &= bits - 1) {
        const struct span *span = &template->read_only[__builtin_ctz(bits)];
        blank &= tmebox_map_over((void *)(base + span->start), span->end - span->start, PROT_READ);
    }
    return blank;
}

void tmebox_share_after_fork(void) {
    atomic_store(&mappings, 0);
}
