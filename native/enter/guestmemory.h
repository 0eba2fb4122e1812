/* A sandbox's memory as system calls of its own touch it: offsets and sizes are untrusted. Only the private part, the
 * arena and a heap's second part: the shared heap has owners, which Python checks. */
#ifndef TMEBOX_GUESTMEMORY_H
#define TMEBOX_GUESTMEMORY_H

#include "enter/instance.h"
#include "windows/window.h"

static inline bool tmebox_guest_in_window(const struct instance *instance, uint64_t offset, uint64_t size) {
    if (LIKELY(offset < TMEBOX_ARENA_END)) {
        return size <= TMEBOX_ARENA_END - offset;
    }
    const struct window *window = instance->window;
    return window != NULL && offset >= window->upper_start && offset < window->upper_end &&
           size <= window->upper_end - offset;
}

/* What a sandbox cannot write itself is not written for it: pages protect that too, but not from every writer. */
static inline bool tmebox_guest_is_writable(const struct instance *instance, uint64_t offset, uint64_t size) {
    if (!tmebox_guest_in_window(instance, offset, size) ||
        (offset < TMEBOX_CONTROL_PAGE + TMEBOX_PAGE_SIZE && TMEBOX_CONTROL_PAGE < offset + size)) {
        return false;
    }
    const struct template *template = instance->window != NULL ? atomic_load(&instance->window->template) : NULL;
    if (LIKELY(template == NULL || offset >= template->read_only_end)) {
        return true;
    }
    for (uint32_t i = 0; i < template->read_only_count; i++) {
        if (offset < template->read_only[i].end && template->read_only[i].start < offset + size) {
            return false;
        }
    }
    return true;
}

/* Copies between the host and the sandbox; false where the sandbox could not itself. */
static inline bool tmebox_guest_copy_in(const struct instance *instance, void *to, uint64_t offset, uint64_t size) {
    return tmebox_guest_in_window(instance, offset, size) &&
           tmebox_window_copy(to, (const void *)(instance->base + offset), size).how == 0;
}

static inline bool tmebox_guest_copy_out(const struct instance *instance, uint64_t offset, const void *from, uint64_t size) {
    return tmebox_guest_is_writable(instance, offset, size) &&
           tmebox_window_copy((void *)(instance->base + offset), from, size).how == 0;
}

#endif
