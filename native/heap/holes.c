/* Where a window had a view, there is a hole: nothing, until the next view comes, or memory of the sandbox's own. Making a part of the window's piece of it
 * again takes five system calls more, and the next view would part the piece anew. A hole takes the same mappings as a view, so
 * there are only so many, and they are filled when mappings run out. Usable in signal handlers. */
#include "fixed.h"
#include "heap/views.h"
#include "windows/window.h"

#include <errno.h>
#include <sys/mman.h>

#define MOST_HOLES 1024

struct hole {
    struct window *window;
    uint64_t base; /* of the window */
    size_t size_bytes;
};

static struct heap_lock lock;
static struct hole holes[MOST_HOLES]; /* a window's number is one more than its hole's; 0: it has none */
static uint32_t count;

static struct hole take(uint32_t number) {
    struct hole hole = holes[number - 1];
    holes[number - 1] = holes[--count];
    holes[number - 1].window->hole = number;
    hole.window->hole = 0;
    return hole;
}

/* False: it is one still, for want of a mapping. */
static bool fill(uint32_t number) {
    const struct hole *hole = &holes[number - 1];
    if (!tmebox_window_part_again(hole->base + TMEBOX_SHARED_START, hole->size_bytes)) {
        return false;
    }
    take(number);
    tmebox_return_mappings(HEAP_MAPPINGS);
    return true;
}

bool tmebox_heap_leave_hole(struct window *window, uint64_t base, size_t size_bytes) {
    void *start = (void *)(base + TMEBOX_SHARED_START);
    tmebox_heap_lock(&lock);
    bool left = count < MOST_HOLES && tmebox_map_over(start, size_bytes, PROT_NONE);
    if (left) {
        holes[count++] = (struct hole){window, base, size_bytes};
        window->hole = count;
    }
    tmebox_heap_unlock(&lock);
    return left;
}

bool tmebox_heap_take_hole(struct window *window) {
    tmebox_heap_lock(&lock);
    bool has = window->hole != 0;
    if (has) {
        take(window->hole);
    }
    tmebox_heap_unlock(&lock);
    return has;
}

bool tmebox_heap_keep_hole(struct window *window, size_t size_bytes) {
    tmebox_heap_lock(&lock);
    uint32_t number = window->hole;
    bool good = number == 0 || holes[number - 1].size_bytes == size_bytes || fill(number);
    tmebox_heap_unlock(&lock);
    return good;
}

void tmebox_heap_fill_holes(void) {
    int error = errno;
    tmebox_heap_lock(&lock);
    while (count != 0 && fill(count)) {
    }
    tmebox_heap_unlock(&lock);
    errno = error;
}

void tmebox_heap_holes_after_fork(void) {
    lock = (struct heap_lock){0};
    count = 0; /* none of their windows is the child's */
}
