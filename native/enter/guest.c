/* What the calls of the data path share: rows of descriptors. */
#include "enter/datapath.h"

#include <sys/resource.h>
#include <unistd.h>

_Atomic int64_t tmebox_open_descriptors;

/* How many guests may have open of what the process may, when that was last looked at: HOSTS_SHARE of
 * runtime/system/files.py is the host's. */
static _Atomic int64_t guests_share;

int64_t tmebox_look_at_limit(void) {
    struct rlimit process;
    int64_t share = getrlimit(RLIMIT_NOFILE, &process) == 0 ? (int64_t)(process.rlim_cur / 2) : 0;
    atomic_store_explicit(&guests_share, share, memory_order_relaxed);
    return share;
}

/* Far below what there was it is not looked at again: that is a call of the kernel's. */
static bool have_their_share(void) {
    int64_t open = atomic_load_explicit(&tmebox_open_descriptors, memory_order_relaxed);
    return open >= atomic_load_explicit(&guests_share, memory_order_relaxed) / 2 && open >= tmebox_look_at_limit();
}

struct guest_descriptor *tmebox_guest_new_row(struct guest_descriptors *all, int64_t *number) {
    if (have_their_share()) {
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
