/* Mapping at fixed addresses without ever leaving a hole: the next mapping of anybody in the process could come to lie
 * there, within reach of a sandbox.
 *
 * mmap(MAP_FIXED) and mremap(MREMAP_FIXED) take away what is at the place, all of it, and may find only then that there is
 * no memory, or no right, for what is to come. So whatever counts against a limit, or asks a driver, is done first at an
 * address that the kernel chooses. What is left is a move between ranges of one size, or memory without the right to
 * write: both only need what the kernel needs itself, and check the number of mappings before they unmap. If they fail
 * all the same, the place is filled at once. No other file of the core maps at fixed addresses over something. */
#include "fixed.h"
#include "newer.h"

#include <errno.h>
#include <sched.h>

#define PRIVATE (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)
#define TRIES 1000

bool tmebox_map_free(void *start, size_t size_bytes, int protection) {
    void *got = mmap(start, size_bytes, protection, PRIVATE | MAP_FIXED_NOREPLACE, -1, 0);
    if (got == start) {
        return true;
    }
    if (got != MAP_FAILED) { /* a kernel before 4.17 takes the address for a hint */
        munmap(got, size_bytes);
        errno = EEXIST;
    }
    return false;
}

static bool all_mapped(void *start, size_t size_bytes) {
    return msync(start, size_bytes, MS_ASYNC) == 0;
}

/* After a failure: whether the place had been lost, and was filled. All of it is unmapped at once, or nothing. So where
 * only a part is missing, the rest is a mapping of somebody else, who was quicker: it is in a sandbox's reach. */
static bool lost(void *start, size_t size_bytes, int protection) {
    int error = errno;
    for (unsigned tries = 0; tries < TRIES; tries++) {
        bool filled = tmebox_map_free(start, size_bytes, protection), taken = !filled && errno == EEXIST;
        if (filled || all_mapped(start, size_bytes)) {
            errno = error;
            return filled;
        }
        if (taken) {
            break;
        }
        sched_yield();
    }
    Py_FatalError("tmebox: the kernel took the addresses of a sandbox away");
}

bool tmebox_map_over(void *start, size_t size_bytes, int protection) {
    return mmap(start, size_bytes, protection, PRIVATE | MAP_FIXED, -1, 0) == start || lost(start, size_bytes, protection);
}

enum placed tmebox_move_over(void *from, void *to, size_t size_bytes) {
    if (mremap(from, size_bytes, size_bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to) {
        return PLACED;
    }
    bool was_lost = lost(to, size_bytes, PROT_NONE);
    munmap(from, size_bytes);
    return was_lost ? NOTHING : AS_BEFORE;
}

enum placed tmebox_map_device_over(void *start, size_t size_bytes, int device, off_t offset) {
    const int access = PROT_READ | PROT_WRITE;
    void *trial = mmap(NULL, size_bytes, access, MAP_SHARED, device, offset);
    if (trial == MAP_FAILED) {
        return AS_BEFORE;
    }
    munmap(trial, size_bytes);
    if (mmap(start, size_bytes, access, MAP_SHARED | MAP_FIXED, device, offset) == start) {
        return PLACED;
    }
    return lost(start, size_bytes, PROT_NONE) ? NOTHING : AS_BEFORE;
}

bool tmebox_fill(void *start, size_t size_bytes) {
    static const int protections[] = {PROT_READ | PROT_WRITE, PROT_READ, PROT_NONE};
    for (size_t i = 0; i < sizeof protections / sizeof *protections; i++) {
        if (tmebox_map_free(start, size_bytes, protections[i])) {
            return true;
        }
    }
    if (errno == EEXIST && size_bytes > TMEBOX_PAGE_SIZE && !all_mapped(start, size_bytes)) {
        size_t half = size_bytes / 2 / TMEBOX_PAGE_SIZE * TMEBOX_PAGE_SIZE;
        tmebox_fill(start, half);
        tmebox_fill((char *)start + half, size_bytes - half);
    }
    return false;
}

bool tmebox_never_merge(void *start, size_t size_bytes) {
    int result;
    do {
        result = madvise(start, size_bytes, MADV_UNMERGEABLE);
    } while (result < 0 && errno == EINTR);
    return result == 0 || errno == EINVAL; /* a kernel that merges nothing */
}

bool tmebox_keep_to_process(void *start, size_t size_bytes) {
    return madvise(start, size_bytes, MADV_WIPEONFORK) == 0 && madvise(start, size_bytes, MADV_DONTDUMP) == 0 &&
           tmebox_never_merge(start, size_bytes);
}
