/* Pages with the same contents, of which the kernel makes one where a program wants that (KSM). Whoever writes one then
 * gets a page of its own that is like any other: what the userfaultfd protects is not protected any more. A sandbox
 * would only have to copy its control page, and to wait. So nothing that sandboxes have is ever merged.
 *
 * A program that begins with it later has it for all mappings that there are. Telling the kernel of all of them again
 * would take it minutes: it looks at each page that there could be. So it is told of the part with the protected pages,
 * of each window that is in use. What a sandbox does before that is noticed is not prevented: docs/security.md. */
#include "fixed.h"
#include "windows/window.h"

#include <sys/prctl.h>

#ifndef PR_GET_MEMORY_MERGE
#define PR_GET_MEMORY_MERGE 68
#endif

static _Atomic bool merges; /* and all windows that had owners then were seen to */

/* Offset behind what is protected. */
static uint32_t protected_end(const struct window *window) {
    uint32_t end = atomic_load(&window->read_only_end);
    return end > HOT_START + HOT_SIZE ? end : HOT_START + HOT_SIZE;
}

static bool unmerge_protected(const struct window *window, uint64_t base) {
    return tmebox_never_merge((void *)(base + HOT_START), protected_end(window) - HOT_START);
}

/* It may be merged already. */
static bool protect_again(struct window *window, uint64_t base, void *unused) {
    (void)unused;
    bool good = unmerge_protected(window, base);
    tmebox_userfault_protect(base + TMEBOX_CONTROL_PAGE);
    return good;
}

void tmebox_look_for_merging(void) {
    if (!atomic_load(&merges) && prctl(PR_GET_MEMORY_MERGE, 0, 0, 0, 0) > 0) {
        atomic_store(&merges, true); /* first: who gets a window from now on sees to it alone */
        if (!tmebox_each_window(protect_again, NULL)) {
            atomic_store(&merges, false); /* to be tried again */
        }
    }
}

bool tmebox_unmerge(struct window *window, uint64_t base) {
    const struct template *template = window->template;
    uint32_t end = protected_end(window);
    if (!atomic_load(&merges) || window->unmerged_end >= end) {
        return true;
    }
    bool good = unmerge_protected(window, base) &&
                tmebox_discard_but_pinned(window, base, TMEBOX_CONTROL_PAGE, TMEBOX_CONTROL_PAGE + PAGE);
    for (uint32_t i = 0; good && i < template->read_only_count; i++) {
        good = tmebox_discard_but_pinned(window, base, template->read_only[i].start, template->read_only[i].end);
    }
    window->unmerged_end = good ? end : 0;
    return good;
}
