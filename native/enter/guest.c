/* What the calls of the data path share: rows of descriptors. */
#include "enter/datapath.h"

#include <unistd.h>

_Atomic int64_t tmebox_open_descriptors;

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
