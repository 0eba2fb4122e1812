/* The table of owners: what it says, and how it changes. A change is in effect everywhere when it returns: nothing
 * that a former owner could use is present in a view any more. */
#include "heap/heap.h"

#include <string.h>

unsigned tmebox_heap_rights(const struct heap *heap, uint16_t key, uint32_t page, uint32_t line) {
    uint16_t owner = tmebox_heap_owner(heap, page, line);
    if (owner == key) {
        return RIGHT_READ | RIGHT_WRITE;
    }
    const struct heap_key *other = &heap->keys[owner];
    for (uint32_t i = 0; other->state == KEY_DOMAIN && i < other->domain->count; i++) {
        if (other->domain->members[i].key == key) {
            return other->domain->members[i].rights;
        }
    }
    return 0;
}

bool tmebox_heap_may(const struct heap *heap, uint16_t key, uint64_t place, uint64_t size, enum heap_access access,
                     struct heap_violation *violation) {
    unsigned needed = access == HEAP_WRITES ? RIGHT_WRITE : RIGHT_READ;
    for (uint64_t at = place, end = place + size, next; at < end; at = next) {
        uint32_t page = (uint32_t)(at / TMEBOX_PAGE_SIZE), line = (uint32_t)(at / LINE % LINES);
        uint64_t step = heap->pages[page].owner == HEAP_MIXED ? LINE : TMEBOX_PAGE_SIZE;
        next = (at / step + 1) * step;
        if (!(tmebox_heap_rights(heap, key, page, line) & needed)) {
            violation->offset = at + TMEBOX_SHARED_START;
            violation->owner = tmebox_heap_owner(heap, page, line);
            return false;
        }
    }
    return true;
}

/* -- changes -------------------------------------------------------------------------------------------- */
static void withdraw_from(struct heap *heap, uint16_t key, uint32_t page, uint32_t count) {
    struct heap_view *view = heap->keys[key].view;
    if (view != NULL) {
        heap->backend->revoke(view, page, count);
    }
}

/* The mixed page is in no view any more of who owns one of these lines. */
static void withdraw_lines(struct heap *heap, uint32_t page, uint64_t lines) {
    const uint16_t *owners = heap->lines[page];
    while (lines != 0) {
        uint16_t owner = owners[__builtin_ctzll(lines)];
        withdraw_from(heap, owner, page, 1);
        for (uint64_t bits = lines; bits != 0; bits &= bits - 1) {
            unsigned line = (unsigned)__builtin_ctzll(bits);
            lines &= ~((uint64_t)(owners[line] == owner) << line);
        }
    }
}

/* What of these pages may be present: from the first to behind the last. */
static inline uint32_t trim_to_granted(const struct heap *heap, uint32_t page, uint32_t *end) {
    while (page < *end && !heap->pages[page].granted) {
        page++;
    }
    while (*end > page && !heap->pages[*end - 1].granted) {
        --*end;
    }
    return page;
}

/* [page, page + count) of one owner; or one page of several. */
void tmebox_heap_withdraw(struct heap *heap, uint32_t page, uint32_t count) {
    uint32_t end = page + count, first = trim_to_granted(heap, page, &end);
    if (first == end) {
        return;
    }
    uint16_t owner = heap->pages[page].owner;
    bool mixed = owner == HEAP_MIXED;
    const struct heap_domain *domain =
        !mixed && heap->keys[owner].state == KEY_DOMAIN ? heap->keys[owner].domain : NULL;
    if (mixed) {
        withdraw_lines(heap, page, UINT64_MAX);
    } else if (domain == NULL) {
        withdraw_from(heap, owner, first, end - first);
    }
    for (uint32_t i = 0; domain != NULL && i < domain->count; i++) {
        if (domain->members[i].key != HEAP_HOST) {
            withdraw_from(heap, domain->members[i].key, first, end - first);
        }
    }
    if (heap->backend->hidden != NULL) {
        heap->backend->hidden(heap, first, end - first);
    }
    for (; first < end; first++) {
        heap->pages[first].granted = false;
    }
    heap->revocations++;
}

/* As many pages at a time as are worth a system call less, with all their groups locked. */
#define GROUPS_AT_A_TIME 16
/* What is larger is shown as it is touched, with doubling grants: nobody looks at all of it at once. */
#define AT_ONCE_PAGES 256
/* Fewer are quicker taken away and granted again: carrying takes five system calls. */
#define CARRIED_AT_LEAST 32

static void show_at_once(struct heap *heap, uint32_t page, uint32_t count, uint16_t owner) {
    struct heap_view *view = heap->keys[owner].view;
    if (view == NULL || !heap->backend->attach(view)) {
        return;
    }
    uint32_t granted = heap->backend->grant(view, page, count, RIGHT_READ | RIGHT_WRITE);
    for (uint32_t i = 0; i < granted; i++) {
        heap->pages[page + i].granted = true;
    }
}

/* From one sandbox's view to another's. What is absent there stays absent. */
static RARE bool carried(struct heap *heap, uint32_t page, uint32_t count, uint16_t owner) {
    struct heap_view *from = heap->keys[heap->pages[page].owner].view, *to = heap->keys[owner].view;
    if (count < CARRIED_AT_LEAST || heap->backend->carry == NULL || from == NULL || to == NULL) {
        return false;
    }
    uint32_t end = page + count, first = trim_to_granted(heap, page, &end);
    if (end - first < CARRIED_AT_LEAST || !heap->backend->attach(to) ||
        !heap->backend->carry(from, to, first, end - first)) {
        return false;
    }
    for (; first < end; first++) {
        heap->pages[first].granted = true;
    }
    heap->revocations++;
    return true;
}

/* Their owners in the table are the new ones. */
static void rekey_pages(struct heap *heap, uint32_t page, uint32_t count, uint16_t former) {
    if (former != HEAP_MIXED && heap->backend->rekey_pages != NULL) {
        heap->backend->rekey_pages(heap, page, count, former);
        return;
    }
    uint16_t owners[LINES];
    for (unsigned line = 0; line < LINES; line++) {
        owners[line] = former;
    }
    for (uint32_t end = page + count; page < end; page++) {
        heap->backend->rekey(heap, page, former == HEAP_MIXED ? heap->lines[page] : owners, 0);
    }
}

void tmebox_heap_give_pages(struct heap *heap, uint32_t page, uint32_t count, uint16_t owner, bool at_once) {
    uint16_t former = heap->pages[page].owner;
    uint32_t first = page;
    for (uint32_t end = page + count, next; former != owner && page < end; page = next) {
        next = (page / GROUP_PAGES + GROUPS_AT_A_TIME) * GROUP_PAGES;
        next = next < end ? next : end;
        uint64_t place = (uint64_t)page * TMEBOX_PAGE_SIZE, size = (uint64_t)(next - page) * TMEBOX_PAGE_SIZE;
        tmebox_heap_lock_groups(heap, place, size);
        bool at_new = at_once && former != HEAP_MIXED && former != HEAP_HOST && carried(heap, page, next - page, owner);
        if (!at_new) {
            tmebox_heap_withdraw(heap, page, next - page);
        }
        for (uint32_t i = page; i < next; i++) {
            heap->pages[i].owner = owner;
        }
        if (heap->backend->rekey != NULL) {
            rekey_pages(heap, page, next - page, former);
        }
        if (at_once && !at_new && page - first < AT_ONCE_PAGES) {
            show_at_once(heap, page, next - page, owner);
        }
        tmebox_heap_unlock_groups(heap, place, size);
    }
}

void tmebox_heap_zero(struct heap *heap, uint32_t page, uint64_t lines) {
    if (heap->backend->zero != NULL) {
        heap->backend->zero(heap, page, lines);
        return;
    }
    unsigned char *start = heap->host + (uint64_t)page * TMEBOX_PAGE_SIZE;
    while (lines != 0) {
        unsigned first = (unsigned)__builtin_ctzll(lines);
        uint64_t rest = ~(lines >> first);
        unsigned count = rest != 0 ? (unsigned)__builtin_ctzll(rest) : LINES - first;
        memset(start + first * LINE, 0, (size_t)count * LINE);
        lines &= count + first == LINES ? (1ULL << first) - 1 : ~(((1ULL << count) - 1) << first);
    }
}

void tmebox_heap_clear(struct heap *heap, uint32_t page, uint64_t lines) {
    if (heap->backend->cleared == NULL) {
        tmebox_heap_zero(heap, page, lines);
        return;
    }
    struct heap_lock *lock = tmebox_heap_group(heap, page);
    tmebox_heap_lock(lock);
    tmebox_heap_zero(heap, page, lines);
    heap->backend->cleared(heap, page, lines, true);
    tmebox_heap_unlock(lock);
}

/* The one owner that all lines of `used` have, or HEAP_MIXED. */
static uint16_t only_owner(const uint16_t *owners, uint64_t used) {
    uint16_t only = owners[__builtin_ctzll(used)];
    for (uint64_t bits = used; bits != 0; bits &= bits - 1) {
        if (owners[__builtin_ctzll(bits)] != only) {
            return HEAP_MIXED;
        }
    }
    return only;
}

/* Of a mixed page that is in nobody's view, where it stays mixed: only the table changes. */
static bool give_in_mixed(struct heap *heap, uint32_t page, uint64_t lines, uint64_t used, uint64_t clear, uint16_t owner) {
    uint16_t *owners = heap->lines[page];
    uint64_t others = used & ~lines;
    while (others != 0 && owners[__builtin_ctzll(others)] == owner) {
        others &= others - 1;
    }
    bool freed = (lines & ~used) != 0; /* what is left may be one owner's */
    if (freed || others == 0 || heap->pages[page].granted || heap->backend->rekey != NULL) {
        return false;
    }
    for (uint64_t rest = lines; rest != 0; rest &= rest - 1) {
        owners[__builtin_ctzll(rest)] = owner;
    }
    tmebox_heap_zero(heap, page, clear);
    return true;
}

void tmebox_heap_give_lines(struct heap *heap, uint32_t page, uint64_t lines, uint64_t used, uint64_t clear,
                            uint16_t owner) {
    struct heap_page *self = &heap->pages[page];
    struct heap_lock *lock = tmebox_heap_group(heap, page);
    uint16_t before[LINES], after[LINES];
    tmebox_heap_lock(lock);
    uint16_t former = self->owner;
    if (former == HEAP_MIXED && give_in_mixed(heap, page, lines, used, clear, owner)) {
        tmebox_heap_unlock(lock);
        return;
    }
    for (unsigned line = 0; line < LINES; line++) {
        before[line] = tmebox_heap_owner(heap, page, line);
        bool nobodys = former != HEAP_MIXED && !(used >> line & 1); /* what is free in it */
        after[line] = lines >> line & 1 ? owner : nobodys ? HEAP_HOST : before[line];
    }
    uint16_t only = only_owner(after, used);
    if (only != former) {
        tmebox_heap_withdraw(heap, page, 1);
        clear |= only != HEAP_MIXED ? ~used : 0; /* it is the only owner's slack from now on */
    } else if (former == HEAP_MIXED && self->granted) {
        withdraw_lines(heap, page, lines);
    }
    memcpy(heap->lines[page], after, sizeof after);
    self->owner = only;
    if (heap->backend->rekey != NULL) {
        heap->backend->rekey(heap, page, before, clear);
    } else {
        tmebox_heap_zero(heap, page, clear);
    }
    tmebox_heap_unlock(lock);
}
