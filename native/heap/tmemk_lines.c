/* Lines that change keys of the processor. A line is read through an alias that has its old key, leaves the caches under
 * it, and is written as a whole through one that has the new key. Under the groups' locks. */
#include "heap/tmemk.h"
#include "windows/window.h"

#include <cpuid.h>
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "../driver/tmebox_uapi.h"

#define HAS_MOVDIR64B (1 << 28) /* CPUID 7, ecx */

int tmebox_tmemk_call(const struct heap *heap, unsigned long call, uint16_t id, uint32_t page, uint32_t count,
                      uint32_t rights) {
    struct tmebox_range range = {.key = id, .rights = rights, .first = page, .count = count};
    int saved = errno, error = 0;
    while (ioctl(heap->enforcement->device, call, &range) < 0) {
        if (errno != EINTR) {
            error = errno;
            break;
        }
    }
    errno = saved;
    return error;
}

bool tmebox_tmemk_show_host(struct heap *heap, uint32_t page, uint16_t id) {
    struct tmemk *self = heap->enforcement;
    if (self->host_ids[page] != id) {
        if (tmebox_tmemk_call(heap, TMEBOX_IOC_GRANT, id, page, 1, TMEBOX_OWNER) != 0) {
            return false;
        }
        self->host_ids[page] = id;
    }
    return true;
}

static unsigned char *line_at(const struct heap *heap, uint16_t key, uint64_t line) {
    const struct tmemk *self = heap->enforcement;
    return self->aliases[self->ids[key] != 0 ? key : HEAP_HOST] + line * LINE;
}

static bool writes_past_caches(void) {
    static _Atomic int known; /* 1: no, 2: yes */
    int answer = atomic_load_explicit(&known, memory_order_relaxed);
    if (answer == 0) {
        uint32_t eax, ebx, ecx = 0, edx;
        __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx);
        answer = ecx & HAS_MOVDIR64B ? 2 : 1;
        atomic_store_explicit(&known, answer, memory_order_relaxed);
    }
    return answer == 2;
}

/* An ordinary store would read the line first, which does not verify under the new key. Without the instruction nothing
 * is encrypted: the driver refuses such a processor unless it is told to simulate keys. */
static void write_line(unsigned char *to, const unsigned char *from) {
    if (writes_past_caches()) {
        asm volatile(".byte 0x66, 0x0f, 0x38, 0xf8, 0x02" : : "a"(to), "d"(from) : "memory"); /* movdir64b (%rdx), %rax */
    } else {
        memcpy(to, from, LINE);
    }
}

static void flush(const struct heap *heap, unsigned char *line) {
    if (!heap->enforcement->coherent) {
        __builtin_ia32_clflush(line);
    }
}

/* Those of `moved` are what they were under the keys of `from`, those of `clear` zeros. What could not be read stays as it
 * is: it does not verify under its new owner's key either. */
static void rewrite(const struct heap *heap, uint32_t page, const uint16_t from[LINES], uint64_t moved,
                    uint64_t clear) {
    _Alignas(LINE) unsigned char bytes[LINES][LINE];
    uint64_t first = (uint64_t)page * LINES;
    for (uint64_t bits = moved | clear; bits != 0; bits &= bits - 1) {
        unsigned line = (unsigned)__builtin_ctzll(bits);
        unsigned char *old = line_at(heap, from[line], first + line);
        if (clear >> line & 1) {
            memset(bytes[line], 0, LINE);
        } else if (tmebox_window_copy(bytes[line], old, LINE).how != 0) {
            moved &= ~(1ULL << line);
        }
        flush(heap, old);
    }
    __builtin_ia32_mfence();
    for (uint64_t bits = moved | clear; bits != 0; bits &= bits - 1) {
        unsigned line = (unsigned)__builtin_ctzll(bits);
        write_line(line_at(heap, tmebox_heap_owner(heap, page, line), first + line), bytes[line]);
    }
    __builtin_ia32_mfence(); /* such stores are ordered weakly */
}

void tmebox_tmemk_rekey(struct heap *heap, uint32_t page, const uint16_t from[LINES], uint64_t clear) {
    const struct tmemk *self = heap->enforcement;
    uint64_t moved = 0;
    for (unsigned line = 0; line < LINES; line++) {
        bool same = self->ids[from[line]] == self->ids[tmebox_heap_owner(heap, page, line)];
        moved |= (uint64_t)!same << line;
    }
    rewrite(heap, page, from, moved & ~clear, clear);
    uint16_t owner = heap->pages[page].owner;
    if (owner != HEAP_MIXED) {
        tmebox_tmemk_show_host(heap, page, self->ids[owner]);
    }
}

/* Pages that go from one key to another as wholes may be before the host's eyes: only the driver can let it wait. */
void tmebox_tmemk_rekey_pages(struct heap *heap, uint32_t page, uint32_t count, uint16_t from) {
    struct tmemk *self = heap->enforcement;
    uint16_t id = self->ids[heap->pages[page].owner], owners[LINES];
    if (id == self->ids[from]) {
        return;
    }
    bool moved = tmebox_tmemk_call(heap, TMEBOX_IOC_MOVE, id, page, count, 0) == 0;
    for (unsigned line = 0; line < LINES; line++) {
        owners[line] = from;
    }
    for (uint32_t i = page; i < page + count; i++) {
        if (moved) {
            self->host_ids[i] = id;
        } else if (self->host_ids[i] != id) { /* what was moved before it failed stays as it is */
            tmebox_tmemk_rekey(heap, i, owners, 0);
        }
    }
}

void tmebox_tmemk_zero(struct heap *heap, uint32_t page, uint64_t lines) {
    uint16_t owners[LINES];
    for (unsigned line = 0; line < LINES; line++) {
        owners[line] = tmebox_heap_owner(heap, page, line);
    }
    rewrite(heap, page, owners, 0, lines);
}

/* Small blocks only: neither crosses a page, and both are the same owner's. What does not verify does not verify where it
 * comes to: the host's key is not the owner's. */
void tmebox_tmemk_copy(struct heap *heap, uint32_t to, uint32_t from, uint32_t lines) {
    _Alignas(LINE) unsigned char bytes[LINES][LINE];
    uint64_t wrong = 0;
    tmebox_heap_lock(tmebox_heap_group(heap, from / LINES));
    uint16_t owner = tmebox_heap_owner(heap, from / LINES, from % LINES);
    for (uint32_t i = 0; i < lines; i++) {
        bool good = tmebox_window_copy(bytes[i], line_at(heap, owner, from + i), LINE).how == 0;
        wrong |= (uint64_t)!good << i;
    }
    tmebox_heap_unlock(tmebox_heap_group(heap, from / LINES));
    tmebox_heap_lock(tmebox_heap_group(heap, to / LINES));
    for (uint32_t i = 0; i < lines; i++) {
        flush(heap, line_at(heap, owner, to + i));
        __builtin_ia32_mfence();
        write_line(line_at(heap, wrong >> i & 1 ? HEAP_HOST : owner, to + i), bytes[i]);
    }
    __builtin_ia32_mfence();
    tmebox_heap_unlock(tmebox_heap_group(heap, to / LINES));
}

uint64_t tmebox_tmemk_report(const struct heap *heap, uint64_t place, uint64_t size) {
    unsigned char bytes[LINE];
    for (uint64_t at = place; at < place + size; at = (at / LINE + 1) * LINE) {
        uint64_t line = at / LINE;
        uint16_t owner = tmebox_heap_owner(heap, (uint32_t)(line / LINES), (uint32_t)(line % LINES));
        if (tmebox_window_copy(bytes, line_at(heap, owner, line), LINE).how != 0) {
            return at;
        }
    }
    return place;
}
