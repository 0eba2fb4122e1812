/* The backend `model`: blocks live as cipher text and MACs in the DRAM of a machine with TME-MK, see native/tme/. Page n of the
 * heap is at physical address n * 4096, and a line is encrypted under the KeyID of its owner.
 *
 * The bytes of a line are in one place: in DRAM, and the heap's own memory has zeros; or in the heap's memory, as in a
 * cache, and DRAM has what was last written back. A page is in the heap's memory while a view has it, while a Python
 * buffer shows it, or while all of it is the host's. Everything else comes for one access and is encrypted again.
 *
 * How pages get into views is page tables' business: heap/mmu.c. */
#include "heap/cover.h"
#include "heap/views.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

/* -- views ---------------------------------------------------------------------------------------------- */
static bool attach(struct heap_view *view) {
    return tmebox_heap_mmu.attach(view);
}

static bool detach(struct heap_view *view) {
    return tmebox_heap_mmu.detach(view);
}

static uint32_t grant(struct heap_view *view, uint32_t page, uint32_t count, unsigned rights) {
    struct heap *heap = view->heap;
    uint32_t good = 0;
    while (good < count && tmebox_cover_reveal(heap, page + good, ALL)) {
        good++;
    }
    uint32_t done = good != 0 ? tmebox_heap_mmu.grant(view, page, good, rights) : 0;
    for (uint32_t i = 0; i < done; i++) {
        heap->covers[page + i].shown = true;
    }
    for (uint32_t i = done; i < count && i <= good; i++) {
        tmebox_cover_settle(heap, page + i);
    }
    return done;
}

static void withdraw(struct heap_view *view, uint32_t page, uint32_t count) {
    tmebox_heap_mmu.revoke(view, page, count);
}

static void hidden(struct heap *heap, uint32_t page, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        heap->covers[page + i].shown = false;
    }
}

/* -- owners --------------------------------------------------------------------------------------------- */
/* New lines: what DRAM has of them is of no interest. */
static void forget(struct heap *heap, uint32_t page, uint64_t lines) {
    struct heap_cover *cover = &heap->covers[page];
    cover->sealed &= ~lines;
    cover->stored &= ~lines;
    for (; lines != 0; lines &= lines - 1) {
        cover->digests[__builtin_ctzll(lines)] = 0;
    }
}

static void cleared(struct heap *heap, uint32_t page, uint64_t lines, bool settled) {
    forget(heap, page, lines);
    if (settled) {
        tmebox_cover_settle(heap, page);
    }
}

/* What does not verify under the former owner's key stays as it is, and does not verify under the new one's. */
static void rekey(struct heap *heap, uint32_t page, const uint16_t from[LINES], uint64_t clear) {
    uint64_t changed = 0;
    tmebox_heap_zero(heap, page, clear);
    forget(heap, page, clear);
    for (unsigned line = 0; line < LINES; line++) {
        changed |= (uint64_t)(tmebox_heap_owner(heap, page, line) != from[line]) << line;
    }
    tmebox_cover_open_lines(heap, page, changed, from);
    tmebox_cover_check_stored(heap, page, changed, from);
    tmebox_cover_settle(heap, page);
}

/* A fresh key: what an earlier owner of the KeyID left is nobody's. */
static bool begin_key(struct heap *heap, uint16_t key) {
    unsigned char drawn[2][32];
    struct tme_machine *machine = heap->machine;
    if (getrandom(drawn, sizeof drawn, 0) != sizeof drawn) {
        return false;
    }
    struct tme_key fresh = {.integrity = true, .drawn = true};
    tmebox_tme_lock(machine);
    if (key <= machine->last_key) { /* else it was reset: nothing verifies */
        tmebox_tme_expand(&fresh, machine->keys[HEAP_HOST].rounds == 14 ? 256 : 128, drawn[0], drawn[1]);
        machine->keys[key] = fresh;
    }
    tmebox_tme_unlock(machine);
    explicit_bzero(&fresh, sizeof fresh);
    explicit_bzero(drawn, sizeof drawn);
    return true;
}

static void flush(struct heap *heap, uint32_t page) {
    uint16_t owners[LINES];
    tmebox_cover_owners_of(heap, page, owners);
    struct heap_cover *cover = &heap->covers[page];
    if (cover->looks == 0) {
        tmebox_cover_close_lines(heap, page, owners);
    } else {
        tmebox_cover_store(heap, page, ~cover->sealed, owners);
        cover->stored |= ~cover->sealed;
    }
}

/* -- one access ----------------------------------------------------------------------------------------- */
/* The lines of [place, end) in the page that place is in; `place` moves behind them. */
static uint64_t part(uint64_t *place, uint64_t end, uint32_t *page) {
    *page = (uint32_t)(*place / TMEBOX_PAGE_SIZE);
    uint64_t page_end = (*page + 1ULL) * TMEBOX_PAGE_SIZE, last = (page_end < end ? page_end : end) - 1;
    unsigned first = (unsigned)(*place / LINE % LINES);
    *place = last + 1;
    return bits(first, (unsigned)(last / LINE % LINES) - first + 1);
}

static void side_end(struct heap *heap, uint16_t key, uint64_t place, uint32_t size, bool wrote) {
    (void)key, (void)wrote;
    uint32_t page;
    for (uint64_t end = place + size; place < end;) {
        part(&place, end, &page);
        tmebox_cover_settle(heap, page);
    }
}

static unsigned char *side_begin(struct heap *heap, uint16_t key, uint64_t place, uint32_t size) {
    uint32_t page;
    for (uint64_t at_place = place, end = place + size; at_place < end;) {
        uint64_t lines = part(&at_place, end, &page);
        if (!tmebox_cover_reveal(heap, page, lines)) {
            side_end(heap, key, place, (uint32_t)(at_place - place), false);
            return NULL;
        }
    }
    return heap->host + place;
}

static bool look(struct heap *heap, uint32_t page, int more) {
    struct heap_cover *cover = &heap->covers[page];
    cover->looks += (uint32_t)more;
    bool good = more < 0 || tmebox_cover_reveal(heap, page, ALL);
    cover->looks -= good ? 0 : (uint32_t)more;
    tmebox_cover_settle(heap, page);
    return good;
}

/* Small blocks only: neither crosses a page. What does not verify is poison where it comes to. */
static void copy(struct heap *heap, uint32_t to, uint32_t from, uint32_t lines) {
    unsigned char bytes[LINES * LINE];
    uint32_t page = from / LINES;
    uint64_t size = (uint64_t)lines * LINE;
    tmebox_heap_lock(tmebox_heap_group(heap, page));
    tmebox_cover_reveal(heap, page, bits(from % LINES, lines));
    memcpy(bytes, at(heap, page, from % LINES), size);
    struct heap_cover *cover = &heap->covers[page];
    uint64_t wrong = ((cover->sealed | cover->stored) >> from % LINES) & bits(0, lines);
    tmebox_cover_settle(heap, page);
    tmebox_heap_unlock(tmebox_heap_group(heap, page));

    page = to / LINES;
    cover = &heap->covers[page];
    tmebox_heap_lock(tmebox_heap_group(heap, page));
    cover->sealed &= ~bits(to % LINES, lines);
    cover->stored &= ~bits(to % LINES, lines);
    memcpy(at(heap, page, to % LINES), bytes, size);
    for (unsigned i = 0; i < lines; i++) {
        cover->digests[to % LINES + i] = 0;
    }
    tmebox_cover_settle(heap, page);
    for (; wrong != 0; wrong &= wrong - 1) {
        unsigned line = to % LINES + (unsigned)__builtin_ctzll(wrong);
        memset(at(heap, page, line), 0, LINE);
        tmebox_cover_poison(heap, (uint64_t)page * LINES + line, 1);
        cover->sealed |= 1ULL << line;
    }
    tmebox_heap_unlock(tmebox_heap_group(heap, page));
}

static int check(const struct heap *heap, uint16_t key, uint64_t place) {
    unsigned char plain[LINE];
    uint64_t line = place / LINE;
    const struct heap_cover *cover = &heap->covers[line / LINES];
    uint16_t owner = tmebox_heap_owner(heap, (uint32_t)(line / LINES), (uint32_t)(line % LINES));
    bool cached = !((cover->sealed | cover->stored) >> line % LINES & 1);
    if ((key == owner && cached) || tmebox_cover_load(heap, key, line, 1, plain) == 0) {
        return TME_DONE;
    }
    return heap->machine->side[line] & TME_SIDE_POISON ? TME_POISON : TME_INTEGRITY;
}

bool tmebox_heap_encrypt(struct heap *heap, struct tme_machine *machine, void *keeper, void (*let_go)(void *)) {
    size_t size = heap->page_count * sizeof *heap->covers;
    if (machine->lines / LINES < heap->page_count) {
        errno = EINVAL;
        return false;
    }
    void *covers = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (covers == MAP_FAILED) {
        return false;
    }
    heap->covers = covers;
    heap->machine = machine;
    heap->key_limit = machine->last_key + 1 < HEAP_KEYS ? machine->last_key + 1 : HEAP_KEYS;
    heap->keeper = keeper;
    heap->let_machine_go = let_go;
    return true;
}

void tmebox_heap_end_encryption(struct heap *heap) {
    if (heap->covers != NULL) {
        munmap(heap->covers, heap->page_count * sizeof *heap->covers);
        heap->let_machine_go(heap->keeper);
    }
}

#define SAME \
    .detects_access = true, .host_asks = true, .rekey = rekey, .flush = flush, .side_begin = side_begin, \
    .side_end = side_end, .copy = copy, .begin_key = begin_key, .hidden = hidden, .cleared = cleared, .look = look, \
    .check = check

const struct heap_backend tmebox_heap_model = {
    .name = "model",
    .attach = attach,
    .detach = detach,
    .grant = grant,
    .revoke = withdraw,
    SAME,
};

/* -- where pages cannot be granted one by one ----------------------------------------------------------- */
const struct heap_backend tmebox_heap_model_without_views = {
    .name = "model without views",
    HEAP_ALL_ASIDE,
    SAME,
};
