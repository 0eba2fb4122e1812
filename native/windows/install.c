/* Installing pages: what of a window its owner may touch, and what is there at first. Called from signal
 * handlers, on several threads at once: no locks, no allocation, and whatever somebody else has installed in
 * between is fine. */
#include "windows/window.h"

#include <errno.h>
#include <string.h>

/* Pages. Most sandboxes write one static and end: the first touch brings one page. For who goes on where the last
 * chunk ended, chunks grow fast at first. Who goes here and there, as in a hash table, a sort or several arrays at
 * once, soon gets the pages around, too: a fault costs more than they do. */
#define FIRST_CHUNK 1
#define FAST_BELOW 16
#define LARGEST_CHUNK 128

#define FIRST_OF(offset) ((offset) / PAGE)

/* Never written. */
static unsigned char zeros[LARGEST_CHUNK * PAGE] __attribute__((aligned(TMEBOX_PAGE_SIZE)));

bool tmebox_window_write(uint64_t address, const void *from, size_t size_bytes) {
    return tmebox_window_copy((void *)address, from, size_bytes).how == 0;
}

bool tmebox_window_clear(uint64_t address, uint64_t size_bytes) {
    for (uint64_t end = address + size_bytes; address < end; address += sizeof zeros) {
        size_t size = end - address < sizeof zeros ? end - address : sizeof zeros;
        if (!tmebox_window_write(address, zeros, size)) {
            return false;
        }
    }
    return true;
}

/* Pages [start, end) that are treated alike. */
struct zone {
    uint32_t start, end;
    bool read_only, control, down;
};

const unsigned char *tmebox_first_contents(const struct template *template, uint32_t page) {
    uint32_t index = page - FIRST_OF(TMEBOX_IMAGE_START);
    if (index >= template->pages ||
        !(((const unsigned char *)template->present.buf)[index / 8] >> index % 8 & 1)) {
        return NULL;
    }
    return template->data + (size_t)index * PAGE;
}

bool tmebox_is_read_only(const struct template *template, uint32_t page) {
    for (uint32_t i = 0; i < template->read_only_count; i++) {
        if (page >= FIRST_OF(template->read_only[i].start) && page < FIRST_OF(template->read_only[i].end)) {
            return true;
        }
    }
    return false;
}

/* The part of [start, end) around `page` that is all read-only or all not. */
static struct zone image_zone(const struct template *template, uint32_t page) {
    struct zone zone = {FIRST_OF(TMEBOX_IMAGE_START), FIRST_OF(template->heap_end), false, false, false};
    for (uint32_t i = 0; i < template->read_only_count; i++) {
        uint32_t start = FIRST_OF(template->read_only[i].start), end = FIRST_OF(template->read_only[i].end);
        if (page < start) {
            zone.end = start;
            break;
        }
        if (page < end) {
            return (struct zone){start, end, true, false, false};
        }
        zone.start = end;
    }
    return zone;
}

/* Of a stack that is elsewhere, the page with random bytes stays here. */
uint32_t tmebox_private_low(const struct template *template) {
    return template->stack_top == TMEBOX_STACK_TOP ? template->stack_low : TMEBOX_STACK_TOP - PAGE;
}

bool tmebox_has_upper_stack(const struct template *template) {
    return template->stack_low >= TMEBOX_UPPER_RSP_START;
}

uint32_t tmebox_private_end(const struct template *template) {
    bool stack_last = template->stack_top > template->heap_end && !tmebox_has_upper_stack(template);
    return stack_last ? template->stack_top : template->heap_end;
}

struct span tmebox_upper_part(const struct template *template) {
    if (!tmebox_has_upper_stack(template)) {
        return (struct span){template->upper_start, template->upper_end};
    }
    return (struct span){template->upper_end != 0 ? template->upper_start : template->stack_low, template->stack_top};
}

/* Empty if the owner has no such page. */
static struct zone zone_of(const struct template *template, uint32_t arena_end, uint32_t page) {
    const struct zone none = {0, 0, true, false, false};
    if (page >= FIRST_OF(template->stack_low) && page < FIRST_OF(template->stack_top)) {
        return (struct zone){FIRST_OF(template->stack_low), FIRST_OF(template->stack_top), false, false, true};
    }
    if (page < FIRST_OF(TMEBOX_STACK_TOP)) {
        return page >= FIRST_OF(tmebox_private_low(template)) ? (struct zone){page, page + 1, false, false, false} : none;
    }
    if (page < FIRST_OF(TMEBOX_IMAGE_START)) {
        return (struct zone){page, page + 1, true, true, false};
    }
    if (page < FIRST_OF(template->heap_end)) {
        return image_zone(template, page);
    }
    if (page >= FIRST_OF(template->upper_start) && page < FIRST_OF(template->upper_end)) {
        return (struct zone){FIRST_OF(template->upper_start), FIRST_OF(template->upper_end), false, false, false};
    }
    return page >= FIRST_OF(TMEBOX_ARENA_START) && page < FIRST_OF(arena_end)
               ? (struct zone){FIRST_OF(TMEBOX_ARENA_START), FIRST_OF(arena_end), false, false, false}
               : none;
}

static bool is_hot(uint32_t page) {
    return page - FIRST_OF(HOT_START) < HOT_PAGES;
}

bool tmebox_is_marked(const struct window *window, uint32_t page) {
    uint32_t index = page - FIRST_OF(HOT_START);
    return index < HOT_PAGES && (window->hot[index / 64] >> index % 64 & 1);
}

static void mark(struct window *window, uint32_t page, uint32_t count) {
    const struct span above = tmebox_upper_part(window->template);
    bool upper = page >= FIRST_OF(above.start) && page < FIRST_OF(above.end);
    if (page >= FIRST_OF(TMEBOX_ARENA_START) && !upper) {
        uint32_t index = page - FIRST_OF(TMEBOX_ARENA_START);
        if (index < ARENA_FIRST_PAGES) {
            atomic_fetch_or(&window->arena_first, (1U << ARENA_FIRST_PAGES) - 1);
        }
        return;
    }
    if (is_hot(page)) {
        for (uint32_t index = page - FIRST_OF(HOT_START); count != 0; index++, count--) {
            atomic_fetch_or(&window->hot[index / 64], 1ULL << index % 64);
        }
    } else if (window->run_count <= RUNS) {
        uint32_t index = atomic_fetch_add(&window->run_count, 1);
        if (index < RUNS) {
            window->runs[index] = (uint64_t)count << 32 | page;
        }
    }
}

uint64_t tmebox_processor;

static int64_t install_control_page(const struct template *template, uint64_t base) {
    uint64_t fields[PAGE / sizeof(uint64_t)] = {0};
    static const uint32_t offsets[] = {TMEBOX_CONTROL_WINDOW_BASE, TMEBOX_CONTROL_HEAP_START,
                                       TMEBOX_CONTROL_HEAP_END, TMEBOX_CONTROL_STACK_LOW,
                                       TMEBOX_CONTROL_STACK_TOP, TMEBOX_CONTROL_UPPER_START,
                                       TMEBOX_CONTROL_UPPER_END, TMEBOX_CONTROL_RSP_MASK,
                                       TMEBOX_CONTROL_RSP_START, TMEBOX_CONTROL_RSP_LAST,
                                       TMEBOX_CONTROL_PROCESSOR};
    bool above = tmebox_has_upper_stack(template);
    uint64_t first = above ? TMEBOX_UPPER_RSP_START : 0, mask = above ? TMEBOX_UPPER_RSP_MASK : TMEBOX_RSP_MASK;
    const uint64_t values[] = {base, template->heap_start, template->heap_end, template->stack_limit,
                               template->stack_top, template->upper_start, template->upper_end,
                               mask, base + first, first + mask,
                               tmebox_processor};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        fields[(offsets[i] - TMEBOX_CONTROL_PAGE) / sizeof(uint64_t)] = values[i];
    }
    return tmebox_userfault_copy(base + TMEBOX_CONTROL_PAGE, fields, PAGE, true);
}

/* Installs the pages, all of one zone, all hot or none, all with data or none. How many, or -errno; -ENOENT:
 * they lie in two mappings, which a window can consist of once shared data was mapped into it, and the kernel
 * installs into one at a time. */
static int64_t install(struct window *window, uint64_t base, const struct zone *zone, uint32_t page,
                       uint32_t count, enum toucher toucher) {
    const struct template *template = window->template;
    uint64_t address = base + (uint64_t)page * PAGE;
    size_t size = (size_t)count * PAGE;
    mark(window, page, count);
    const unsigned char *source = tmebox_first_contents(template, page);
    int64_t installed;
    if (zone->control) {
        installed = install_control_page(template, base);
    } else if (source == NULL && toucher == HOST_READS && !is_hot(page)) {
        installed = tmebox_userfault_zero(address, size); /* takes no memory */
    } else {
        installed = tmebox_userfault_copy(address, source != NULL ? source : zeros, size, zone->read_only);
    }
    return installed > 0 ? installed / PAGE : installed;
}

/* As many pages from `page` on, below `end`, as can be installed with it. */
static uint32_t alike(const struct window *window, uint32_t page, uint32_t end) {
    const struct template *template = window->template;
    bool data = tmebox_first_contents(template, page) != NULL;
    uint32_t last = page + 1;
    while (last < end && last - page < LARGEST_CHUNK && is_hot(last) == is_hot(page) &&
           !tmebox_is_marked(window, last) && (tmebox_first_contents(template, last) != NULL) == data) {
        last++;
    }
    return last - page;
}

/* Pages that come together. */
struct chunk {
    uint32_t first, count;
};

/* Powers of 2. */
static uint32_t block_pages(uint32_t scattered) {
    return scattered < 16 ? FIRST_CHUNK : scattered < 64 ? 4 : scattered < 256 ? 16 : 32;
}

/* Zeros of the sandbox's own memory, not of arrays. */
static bool is_common(const struct template *template, const struct zone *zone, uint32_t page) {
    return zone->start != FIRST_OF(TMEBOX_ARENA_START) && tmebox_first_contents(template, page) == NULL;
}

/* For who did not go on from where the last chunk ended: the page's block, as far as it is one. */
static struct chunk scattered_chunk(struct window *window, const struct zone *zone, uint32_t page) {
    struct chunk chunk = {page, FIRST_CHUNK};
    if (is_common(window->template, zone, page)) {
        uint32_t count = block_pages(atomic_fetch_add(&window->scattered, 1)), end = page / count * count + count;
        while (chunk.first % count != 0 && chunk.first > zone->start && is_hot(chunk.first - 1) == is_hot(page) &&
               !tmebox_is_marked(window, chunk.first - 1) && is_common(window->template, zone, chunk.first - 1)) {
            chunk.first--;
        }
        chunk.count = page - chunk.first + alike(window, page, end < zone->end ? end : zone->end);
    }
    return chunk;
}

/* What to install at a fault: little at first, more for who goes on from there. */
static struct chunk chunk_at(struct window *window, const struct zone *zone, uint32_t page) {
    uint32_t count = FIRST_CHUNK;
    bool goes_on = page == window->next_page && window->last_count != 0;
    if (goes_on) {
        count = window->last_count < FAST_BELOW ? 4 * window->last_count : 2 * window->last_count;
        count = count < LARGEST_CHUNK ? count : LARGEST_CHUNK;
    }
    struct chunk chunk;
    if (zone->down) { /* the stack: the chunk ends at `page` */
        uint32_t low = is_hot(page) ? FIRST_OF(HOT_START) : zone->start;
        uint32_t room = page + 1 - (low > zone->start ? low : zone->start);
        count = count < room ? count : room;
        chunk = (struct chunk){page + 1 - count, count};
        window->next_page = page - count;
    } else {
        uint32_t room = alike(window, page, zone->end);
        count = count < room ? count : room;
        chunk = goes_on ? (struct chunk){page, count} : scattered_chunk(window, zone, page);
        window->next_page = chunk.first + chunk.count;
    }
    window->last_count = chunk.count;
    return chunk;
}

bool tmebox_install(struct window *window, uint64_t base, uint64_t offset, enum toucher toucher) {
    const struct template *template = window->template;
    if (template == NULL || offset >= TMEBOX_WINDOW_SIZE) {
        return false;
    }
    uint32_t page = (uint32_t)FIRST_OF(offset);
    struct zone zone = zone_of(template, window->arena_end, page);
    bool writes = toucher == SANDBOX_WRITES || toucher == HOST_WRITES;
    if (page < zone.start || page >= zone.end || (zone.read_only && writes)) {
        return false;
    }
    struct chunk chunk = chunk_at(window, &zone, page);
    int64_t installed = install(window, base, &zone, chunk.first, chunk.count, toucher);
    if (installed <= (int64_t)(page - chunk.first) && chunk.first != page) { /* the page itself may be missing */
        chunk.count -= page - chunk.first;
        installed = install(window, base, &zone, page, chunk.count, toucher);
    }
    if (installed <= 0 && chunk.count > 1) {
        installed = install(window, base, &zone, page, 1, toucher);
    }
    if (installed == -EEXIST && writes) { /* else the access would fault for ever, were the page read-only */
        tmebox_userfault_unprotect(base + (uint64_t)page * PAGE);
    }
    return installed > 0 || installed == -EEXIST;
}

bool tmebox_populate(struct window *window, uint64_t base, uint64_t offset, uint64_t size,
                     enum toucher toucher) {
    const struct template *template = window->template;
    if (template == NULL || offset >= TMEBOX_WINDOW_SIZE || size > TMEBOX_WINDOW_SIZE - offset) {
        return false;
    }
    uint32_t page = (uint32_t)FIRST_OF(offset), end = (uint32_t)((offset + size + PAGE - 1) / PAGE);
    while (page < end) {
        struct zone zone = zone_of(template, window->arena_end, page);
        if (page < zone.start || page >= zone.end) {
            return false;
        }
        if (zone.read_only && tmebox_is_shared(window, page)) {
            page = zone.end;
            continue;
        }
        uint32_t count = alike(window, page, zone.end < end ? zone.end : end);
        int64_t done = install(window, base, &zone, page, count, toucher);
        if (done == -ENOENT && count > 1) {
            done = install(window, base, &zone, page, 1, toucher);
        }
        if (done < 0 && done != -EEXIST) {
            return false;
        }
        page += done > 0 ? (uint32_t)done : 1;
    }
    return true;
}
