/* Pages that go from one view to another without being taken away and granted again: the kernel moves the entries of a page
 * table by mremap, which takes a thirtieth of the time. The old view stays, empty there.
 *
 * What mremap moves loses its userfaultfd, and merges with neighbours that look the same, which then lose theirs: all of
 * the heap would come by itself, to whoever touches it. So a flag that means nothing here (MADV_RANDOM, of memory that is never
 * read from a file) sets the pages apart until they are registered again. In between, what is missing of them comes by
 * itself, and all of that is the new owner's. A kernel is believed only after it was seen to do all this. */
#include "fixed.h"
#include "heap/views.h"
#include "newer.h"
#include "windows/window.h"

#include <errno.h>
#include <sys/mman.h>

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

#define TRIED_PAGES 3

/* Nothing of it can be touched. What was granted there is then done on the side. */
static void shut(void *address, size_t size) {
    if (!tmebox_map_over(address, size, PROT_NONE)) {
        Py_FatalError("tmebox: the kernel does not take a sandbox's memory back");
    }
}

struct carried {
    bool done;  /* else nothing is present at the new place */
    bool whole; /* and both mappings are what they were: else it must not be tried there again */
};

/* Both are mappings of the same pages; no two threads at once for one of them. On their way the pages are where the kernel
 * chooses, so that it can refuse nothing any more once the new place was unmapped. */
static struct carried carry(void *from, void *to, size_t size) {
    struct carried result = {madvise(from, size, MADV_RANDOM) == 0, true};
    void *between = result.done ? mremap(from, size, size, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL) : MAP_FAILED;
    enum placed placed = between != MAP_FAILED ? tmebox_move_over(between, to, size) : AS_BEFORE;
    result = (struct carried){placed == PLACED, placed != NOTHING};
    if (result.done && tmebox_userfault_register(to, size, true) != 0) {
        shut(to, size);
        result = (struct carried){false, false};
    }
    result.whole &= !result.done || madvise(to, size, MADV_NORMAL) == 0;
    result.whole &= madvise(from, size, MADV_NORMAL) == 0;
    return result;
}

/* -- whether this kernel does it ------------------------------------------------------------------------ */
static bool is_granted(unsigned char *page, size_t size) {
    return tmebox_userfault_continue((uintptr_t)page, size, false) == (int64_t)size;
}

/* Of three pages the middle one is carried. Then the others are still registered, in one mapping with it, and what is
 * absent does not come by itself: all three can be granted at once, where none is. */
static bool works(unsigned char *memory, unsigned char *views[2]) {
    const size_t page = TMEBOX_PAGE_SIZE, size = TRIED_PAGES * page;
    for (int i = 0; i < 2; i++) {
        void *another = mremap(memory, 0, size, MREMAP_MAYMOVE);
        if (another == MAP_FAILED || tmebox_move_over(another, views[i], size) != PLACED ||
            tmebox_userfault_open_up(views[i], size, true) != 0) {
            return false;
        }
    }
    if (!is_granted(views[0] + page, page)) {
        return false;
    }
    struct carried result = carry(views[0] + page, views[1] + page, page);
    if (!result.done || !result.whole || tmebox_userfault_continue((uintptr_t)views[1] + page, page, false) != -EEXIST) {
        return false;
    }
    for (int i = 0; i < 2; i++) {
        if (madvise(views[i], size, MADV_DONTNEED) < 0 || !is_granted(views[i], size)) {
            return false;
        }
    }
    return true;
}

static bool try(void) {
    const size_t size = TRIED_PAGES * (size_t)TMEBOX_PAGE_SIZE;
    unsigned char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    unsigned char *room = mmap(NULL, 3 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    bool good = false;
    if (memory != MAP_FAILED && room != MAP_FAILED) {
        memory[0] = memory[TMEBOX_PAGE_SIZE] = memory[2 * TMEBOX_PAGE_SIZE] = 1;
        good = works(memory, (unsigned char *[]){room, room + 2 * size}); /* apart, so that they do not merge */
    }
    if (memory != MAP_FAILED) {
        munmap(memory, size);
    }
    if (room != MAP_FAILED) {
        munmap(room, 3 * size);
    }
    return good;
}

enum { UNKNOWN, YES, NO };

static bool can_be_done(void) {
    static _Atomic int known = UNKNOWN;
    int answer = atomic_load_explicit(&known, memory_order_relaxed);
    if (answer == UNKNOWN) {
        answer = try() ? YES : NO;
        atomic_store_explicit(&known, answer, memory_order_relaxed);
    }
    return answer == YES;
}

/* -- views ---------------------------------------------------------------------------------------------- */
static void *part_of(const struct heap_view *view, uint32_t page) {
    return (void *)(view->base + TMEBOX_SHARED_START + (uint64_t)page * TMEBOX_PAGE_SIZE);
}

bool tmebox_heap_carry(struct heap_view *from, struct heap_view *to, uint32_t page, uint32_t count) {
    if (!from->mapped || !to->mapped || from->stays || to->stays || !can_be_done()) {
        return false;
    }
    int error = errno;
    struct carried result = carry(part_of(from, page), part_of(to, page), (size_t)count * TMEBOX_PAGE_SIZE);
    from->stays = to->stays = !result.whole;
    errno = error;
    return result.done;
}
