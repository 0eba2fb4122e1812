/* What the calls of the data path share: a sandbox's memory as the host may touch it, and rows of descriptors. */
#include "enter/datapath.h"
#include "windows/window.h"

#include <unistd.h>

/* -- the sandbox's memory ------------------------------------------------------------------------------- */
/* The shared heap has owners, which Python checks. A heap's second part is above it. */
bool tmebox_guest_in_window(const struct instance *instance, uint64_t offset, uint64_t size) {
    const struct window *window = instance->window;
    if (window != NULL && offset >= window->upper_start && offset < window->upper_end) {
        return size <= window->upper_end - offset;
    }
    return offset < TMEBOX_ARENA_END && size <= TMEBOX_ARENA_END - offset;
}

bool tmebox_guest_copy_in(const struct instance *instance, void *to, uint64_t offset, uint64_t size) {
    return tmebox_guest_in_window(instance, offset, size) &&
           tmebox_window_copy(to, (const void *)(instance->base + offset), size).how == 0;
}

/* What a sandbox cannot write itself is not written for it: pages protect that too, but not from every writer. */
bool tmebox_guest_is_writable(const struct instance *instance, uint64_t offset, uint64_t size) {
    if (!tmebox_guest_in_window(instance, offset, size) ||
        (offset < TMEBOX_CONTROL_PAGE + TMEBOX_PAGE_SIZE && TMEBOX_CONTROL_PAGE < offset + size)) {
        return false;
    }
    const struct template *template = instance->window != NULL ? atomic_load(&instance->window->template) : NULL;
    for (uint32_t i = 0; template != NULL && i < template->read_only_count; i++) {
        if (offset < template->read_only[i].end && template->read_only[i].start < offset + size) {
            return false;
        }
    }
    return true;
}

bool tmebox_guest_copy_out(const struct instance *instance, uint64_t offset, const void *from, uint64_t size) {
    return tmebox_guest_is_writable(instance, offset, size) &&
           tmebox_window_copy((void *)(instance->base + offset), from, size).how == 0;
}

/* -- descriptors ---------------------------------------------------------------------------------------- */
_Atomic int64_t tmebox_open_descriptors;

struct guest_descriptor *tmebox_guest_find(const struct guest_call *call, int64_t number, uint32_t flags) {
    if (number < 0 || number >= call->all->count) {
        return NULL;
    }
    struct guest_descriptor *row = &call->all->rows[number];
    return row->host >= 0 && (row->flags & flags) == flags ? row : NULL;
}

struct guest_descriptor *tmebox_guest_new_row(struct guest_descriptors *all, int64_t *number) {
    if (atomic_load_explicit(&tmebox_open_descriptors, memory_order_relaxed) >= all->process_limit) {
        return NULL;
    }
    uint32_t end = all->count < all->limit ? all->count : all->limit;
    for (uint32_t i = 0; i < end; i++) {
        if (all->rows[i].flags == 0) {
            *number = i;
            return &all->rows[i];
        }
    }
    return NULL; /* Python makes room for more rows */
}

void tmebox_guest_release(struct guest_descriptors *all, struct guest_descriptor *row) {
    if (row->flags & GUEST_NEW) {
        all->news--;
        atomic_fetch_sub_explicit(&tmebox_open_descriptors, 1, memory_order_relaxed);
        if (row->file != NULL) {
            row->file->users--;
        } else {
            close(row->host);
        }
    }
}
