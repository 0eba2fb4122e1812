/* The shared heap: memory that all sandboxes of it alias, owned line by line.
 *
 * The table says who owns what, and is the authority. What is present in some sandbox's view is a cache of it: a
 * page with one owner may be present in that owner's view, any other page in nobody's. Whatever is absent, for
 * whatever reason, is looked up in the table at the fault: granted, done on the side, or refused.
 *
 * Two kinds of locks. `heap->lock` is for what is allocated, and for keys; whoever has it runs no Python code and
 * is in no signal handler. A group's lock is for who owns its 64 pages; it is held across check and access, or
 * check and grant, also in signal handlers. Order: the heap's lock, then groups in ascending order. */
#ifndef TMEBOX_HEAP_H
#define TMEBOX_HEAP_H

#include "process.h"
#include "tme/machine.h"

#define LINE TMEBOX_SHARED_LINE
#define LINES TMEBOX_SHARED_PAGE_LINES /* of a page */
#define GROUP_PAGES 64
#define HEAP_KEYS TMEBOX_SHARED_KEYS
#define HEAP_HOST 0          /* the key of the host, and of what nobody has */
#define HEAP_MIXED 0xffff    /* instead of a key: several owners, see `lines` */
#define HEAP_NOWHERE UINT32_MAX
#define HEAP_HANDLE_BITS 24 /* of a handle: its index; the rest says how often that was used */

struct window;

/* -- locks ---------------------------------------------------------------------------------------------- */
/* Whoever waits lets the processor go to who has it. One that has waited for long is impatient, and those that come
 * meanwhile wait for it: nobody can keep others away by asking again and again. An order of coming would be fairer, but
 * where more threads run than processors, each would wait for the next one's turn on a processor. */
struct heap_lock {
    _Atomic uint32_t held, impatient;
};

/* -- pages ---------------------------------------------------------------------------------------------- */
enum heap_kind {
    PAGE_FREE,
    PAGE_SMALL, /* blocks of less than a page */
    PAGE_RUN,   /* the first page of a block of whole pages */
    PAGE_REST,  /* the others */
    PAGE_SPARE, /* free, but its last owner's to have again: nobody else's data is in it */
};

#define PAGE_DIRTY 1     /* may hold something else than zeros */
#define PAGE_DENSE 2     /* for small blocks of any owner */
#define PAGE_SHAREABLE 4 /* of the first page of a run */
#define PAGE_GUEST 8     /* of the first page of a run: sandboxed code made it */
#define PAGE_GONE 16     /* of the first page of a run: freed, but the host still looks at it */

struct heap_page {
    /* Under the heap's lock. */
    union {
        struct {
            uint64_t used;   /* lines of blocks */
            uint64_t starts; /* first lines of blocks */
        };
        struct { /* of the first page of a run */
            uint64_t views; /* through which the host looks at it */
            void *object;   /* the Python object that ends it; with the GIL held */
        };
    };
    uint64_t guest;   /* of these: made by sandboxed code */
    uint64_t movable; /* of these: blocks with a handle, which may be moved if they are small */
    uint32_t next, prev;
    uint32_t run; /* of a run: how many pages; of the rest: how far behind the first */
    uint8_t kind, flags;
    /* Under the group's lock; who changes it has the heap's as well. */
    uint16_t owner;
    bool granted; /* some of the owner's views may have it */
};

/* -- keys ----------------------------------------------------------------------------------------------- */
enum heap_key_state { KEY_FREE, KEY_SANDBOX, KEY_DOMAIN };

#define RIGHT_READ 1
#define RIGHT_WRITE 2

struct heap_member {
    uint16_t key; /* 0: it is gone */
    uint8_t rights;
};

struct heap_domain {
    uint32_t count;
    struct heap_member members[];
};

struct heap_key {
    uint8_t state;
    struct heap_view *view;     /* of a sandbox */
    struct heap_domain *domain; /* of a domain, as long as a page has its key */
    uint64_t lines, limit;      /* owned, and how many may be */
    uint64_t dense_lines;       /* of these: in pages for any owner */
    uint32_t guest_blocks;      /* of its blocks: made by sandboxed code */
    uint32_t partial, full;     /* lists: its small pages with and without room */
    uint32_t runs;              /* list: first pages of its larger blocks */
    uint32_t spare;
    uint32_t serial; /* counts its owners */
    uint32_t memberships; /* 0: surely in no domain */
    uint16_t next_domain;
    uint32_t permit_count, permit_room;
    struct heap_permit *permits;
};

/* To transfer to a key, as long as that is the same owner's. */
struct heap_permit {
    uint16_t key;
    uint32_t serial;
};

/* A window's heap part as its sandbox sees it. It stays with the window while that is parked. */
struct heap_view {
    struct heap *heap;
    struct window *window;
    uint64_t base; /* of the window */
    struct heap_lock lock; /* for being mapped */
    bool mapped, refused; /* something is there instead of the window's piece; no page is granted there */
    bool stays; /* no page is carried into it or out of it any more */
    uint16_t key; /* 0: parked */
    uint32_t next_page, last_count; /* grants double for who goes on */
    uint32_t asides; /* accesses on the side, while it is not mapped */
};

struct heap_handle {
    uint32_t start; /* of its block; HEAP_NOWHERE: it has none */
    uint32_t pins;  /* of sandboxed code */
    uint32_t calls; /* that the block was passed to, and that have not returned */
    uint32_t next; /* free handle */
    uint8_t serial;
};

struct heap {
    _Atomic uint32_t references;
    uint32_t generation; /* of the process */
    uint32_t page_count;
    bool dense, closed;
    const struct heap_backend *backend;
    struct tmemk *enforcement; /* that backend's own */
    size_t size_bytes;
    unsigned char *host;   /* all of it, for the host */
    unsigned char *source; /* the same, without access: views are made from it; NULL where a device has it */
    struct heap_lock lock;
    struct heap_lock *groups;
    struct heap_page *pages;
    uint16_t (*lines)[LINES];     /* owners in mixed pages */
    uint32_t (*handle_at)[LINES]; /* of movable blocks, by first line */
    struct heap_key *keys;
    uint32_t key_limit;  /* keys from here on are never given: the memory has no more */
    uint32_t key_end;    /* keys from here on never had an owner */
    uint16_t *free_keys; /* of the others, a ring: oldest first */
    uint32_t first_free_key, free_key_count;
    uint64_t *free_map; /* a bit for each free page */
    uint32_t free_hint, free_pages, spare_pages;
    struct heap_punch *punch; /* of a compaction that is under way, or NULL */
    uint32_t dense_partial, dense_full; /* lists */
    uint16_t domains; /* a list of keys */
    struct heap_handle *handles;
    uint32_t handle_count, most_handles, free_handle;
    struct heap_doomed *_Atomic doomed;  /* blocks whose last reference went */
    uint64_t transfers, revocations;
    struct heap *next; /* of all there are */
    void *whole; /* one mapping for all tables */
    size_t whole_bytes;
    struct tme_machine *machine; /* of the backend `model`, else NULL, as what follows */
    struct heap_cover *covers; /* for each page */
    void (*let_machine_go)(void *keeper);
    void *keeper; /* of the machine */
};

/* What a sandbox may not touch, or the host may not do. */
struct heap_violation {
    uint64_t offset; /* of the first foreign byte, in a window */
    int owner;
};

enum heap_access { HEAP_READS, HEAP_WRITES };

/* -- backends: who enforces the table ------------------------------------------------------------------- */
/* All under the locks of the groups concerned, but attach and detach. Pages are numbers in the heap. */
struct heap_backend {
    const char *name;
    bool grants_mixed;   /* a page of several owners is shown to all of them: a line is told apart by its key */
    bool detects_access; /* a foreign access stops there and then; else, if it writes, the owner's next read does */
    bool host_asks;      /* the host, too, finds bytes by side_begin, and says when it is done */
    /* NULL: its memory is the process's own. Provides `heap->host`; false with errno set. */
    bool (*begin)(struct heap *heap, int device);
    void (*end)(struct heap *heap);
    /* NULL: its memory is the process's own. Gives the memory of free pages back; under the heap's lock. */
    bool (*discard)(struct heap *heap, uint32_t page, uint32_t count);
    /* NULL: keys are only numbers. Of sandboxes; under the heap's lock. False with errno set. */
    bool (*tenant_begin)(struct heap *heap, uint16_t key);
    void (*tenant_end)(struct heap *heap, uint16_t key);
    bool (*attach)(struct heap_view *view);  /* false: never present there, all is done on the side */
    bool (*detach)(struct heap_view *view);  /* nothing is present any more; false: not at the moment */
    uint32_t (*grant)(struct heap_view *view, uint32_t page, uint32_t count, unsigned rights); /* how many */
    void (*revoke)(struct heap_view *view, uint32_t page, uint32_t count);
    /* NULL: never. What is present of the pages in one view, which is attached, is so in the other instead. Under the heap's
     * lock. False: nothing of them is present in the other. */
    bool (*carry)(struct heap_view *from, struct heap_view *to, uint32_t page, uint32_t count);
    /* Lines of the page have other owners now than in `from`, and those of `clear` become zeros. NULL: that changes
     * nothing in memory but the zeros. */
    void (*rekey)(struct heap *heap, uint32_t page, const uint16_t from[LINES], uint64_t clear);
    /* NULL: the same, page by page. Pages of one owner have another now. */
    void (*rekey_pages)(struct heap *heap, uint32_t page, uint32_t count, uint16_t from);
    /* NULL: zeros are written as anything is. Else, where what is there may not verify. */
    void (*zero)(struct heap *heap, uint32_t page, uint64_t lines);
    void (*flush)(struct heap *heap, uint32_t page); /* present nowhere: what was cached of it is written back */
    /* NULL: the memory does not verify under its owner's key. */
    unsigned char *(*side_begin)(struct heap *heap, uint16_t key, uint64_t place, uint32_t size);
    void (*side_end)(struct heap *heap, uint16_t key, uint64_t place, uint32_t size, bool wrote);
    /* NULL: every fault comes with its address. Else the memory itself may stop an access, of the host's as well, and the
     * address comes from the instruction's descriptor: the first of these lines that does not verify, or `place`. */
    uint64_t (*report)(const struct heap *heap, uint64_t place, uint64_t size);
    void (*copy)(struct heap *heap, uint32_t to, uint32_t from, uint32_t lines); /* of one owner; takes the locks */
    /* -- of a backend with memory of its own; NULL together -- */
    bool (*begin_key)(struct heap *heap, uint16_t key); /* fresh; under the heap's lock */
    void (*hidden)(struct heap *heap, uint32_t page, uint32_t count); /* no view has them any more */
    void (*cleared)(struct heap *heap, uint32_t page, uint64_t lines, bool settled); /* the host wrote zeros */
    bool (*look)(struct heap *heap, uint32_t page, int more); /* how many Python buffers more show it; as side_begin */
    /* What the memory says of a read of that line under the key: an enum tme_outcome. */
    int (*check)(const struct heap *heap, uint16_t key, uint64_t place);
};

extern const struct heap_backend tmebox_heap_mmu, tmebox_heap_without_views;
extern const struct heap_backend tmebox_heap_tmemk, tmebox_heap_tmemk_without_views;
extern const struct heap_backend tmebox_heap_model, tmebox_heap_model_without_views;

/* -- lock.c --------------------------------------------------------------------------------------------- */
void tmebox_heap_wait(struct heap_lock *lock);

/* A test builds the core without locks, and sees it fail. */
#ifdef TMEBOX_HEAP_WITHOUT_LOCKS
static inline void tmebox_heap_lock(struct heap_lock *lock) {
    (void)lock;
}

static inline void tmebox_heap_unlock(struct heap_lock *lock) {
    (void)lock;
}
#else
static inline void tmebox_heap_lock(struct heap_lock *lock) {
    if (UNLIKELY(atomic_load_explicit(&lock->impatient, memory_order_relaxed) != 0 ||
                 atomic_exchange_explicit(&lock->held, 1, memory_order_acquire) != 0)) {
        tmebox_heap_wait(lock);
    }
}

static inline void tmebox_heap_unlock(struct heap_lock *lock) {
    atomic_store_explicit(&lock->held, 0, memory_order_release);
}
#endif

/* Those of all groups that the bytes are in, ascending. */
void tmebox_heap_lock_groups(struct heap *heap, uint64_t place, uint64_t size);
void tmebox_heap_unlock_groups(struct heap *heap, uint64_t place, uint64_t size);

static inline struct heap_lock *tmebox_heap_group(struct heap *heap, uint32_t page) {
    return &heap->groups[page / GROUP_PAGES];
}

/* -- heap.c: making and ending one ---------------------------------------------------------------------- */
/* NULL with errno set. `device`: for a backend that needs one. */
/* Beside the memory that the host has of a heap: an instruction that is executed there for a sandbox reaches nobody else's. */
#define HOST_GUARD (64ULL << 10)

/* Maps it, between guards, as heap->host. False with errno set. */
bool tmebox_heap_map_host(struct heap *heap, int device); /* -1: of none */

struct heap *tmebox_heap_new(size_t size_bytes, bool dense, const struct heap_backend *backend, int device);
void tmebox_heap_hold(struct heap *heap);
void tmebox_heap_let_go(struct heap *heap);
void tmebox_heaps_after_fork(void);
static inline bool tmebox_heap_is_ours(const struct heap *heap) {
    return heap->generation == tmebox_generation;
}
static inline bool tmebox_heap_covers(const struct heap *heap, uint64_t offset) {
    return offset - TMEBOX_SHARED_START < heap->size_bytes;
}

/* model.c. Before anybody has a key: blocks live in the machine's DRAM, page by page from 0 on. False: errno. */
bool tmebox_heap_encrypt(struct heap *heap, struct tme_machine *machine, void *keeper, void (*let_go)(void *));
void tmebox_heap_end_encryption(struct heap *heap);
/* What does not verify, and what the memory said of it. */
struct heap_bad {
    uint64_t place;
    int outcome; /* an enum tme_outcome */
    uint16_t key;
};
/* hostview.c. Where the host finds the bytes between begin and end, or NULL: see *bad. Takes the groups' locks. */
unsigned char *tmebox_heap_host_begin(struct heap *heap, uint64_t place, uint64_t size, struct heap_bad *bad);
void tmebox_heap_host_end(struct heap *heap, uint64_t place, uint64_t size, bool wrote);
/* A Python buffer shows the run, or no longer does. */
bool tmebox_heap_look(struct heap *heap, uint32_t page, bool more, struct heap_bad *bad);
/* What an instruction of the key's was stopped at, all of whose accesses the memory itself refused: the first foreign line,
 * or the first that does not verify. Takes the groups' locks. */
void tmebox_heap_report(struct heap *heap, uint16_t key, uint64_t place, uint64_t size, enum heap_access access,
                        struct heap_bad *bad);
/* Between host_begin and host_end, and the like: false, if something has stopped it there (0: not known where). */
bool tmebox_heap_copied(void *to, const void *from, size_t size, uint64_t *stopped_at);
/* Zeros for lines of a page that only its owner can touch. */
void tmebox_heap_clear(struct heap *heap, uint32_t page, uint64_t lines);
/* The same without bookkeeping. Under the group's lock, or where nobody else knows the page. */
void tmebox_heap_zero(struct heap *heap, uint32_t page, uint64_t lines);
/* What views and caches hold is in memory, and nowhere else but in arrays that the host looks at. */
void tmebox_heap_flush(struct heap *heap);
/* Whether memory has something to say of a foreign access. By the paper's rule it does not look at stores. */
static inline bool tmebox_heap_asks_memory(const struct heap *heap, enum heap_access access) {
    return heap->backend->check != NULL && !(access == HEAP_WRITES && heap->machine->paper);
}
/* What the memory itself says of the key's read at the place: 0, or an enum tme_outcome. */
int tmebox_heap_check(struct heap *heap, uint16_t key, uint64_t place);
/* With the groups' locks: the first line of the part that does not verify under its owner's key. */
void tmebox_heap_first_bad(const struct heap *heap, uint64_t place, uint64_t size, struct heap_bad *bad);

/* -- owners.c: the table -------------------------------------------------------------------------------- */
/* What a key may do with a line. Under the group's lock. */
unsigned tmebox_heap_rights(const struct heap *heap, uint16_t key, uint32_t page, uint32_t line);
/* Whether the key may access all of it. `place` is in the heap, and so is the end. Under the groups' locks. */
bool tmebox_heap_may(const struct heap *heap, uint16_t key, uint64_t place, uint64_t size, enum heap_access access,
                     struct heap_violation *violation);
/* Pages of one owner, or one page of several, are in no view any more. Under their groups' locks. */
void tmebox_heap_withdraw(struct heap *heap, uint32_t page, uint32_t count);
/* Who owns the line. */
static inline uint16_t tmebox_heap_owner(const struct heap *heap, uint32_t page, uint32_t line) {
    uint16_t owner = heap->pages[page].owner;
    return owner == HEAP_MIXED ? heap->lines[page][line] : owner;
}
/* All lines of pages that may be present somewhere get this owner; in a view of who had them, they are no more.
 * Takes the groups' locks; under the heap's. `at_once`: present for the new owner. */
void tmebox_heap_give_pages(struct heap *heap, uint32_t page, uint32_t count, uint16_t owner, bool at_once);
/* The same for some lines of one page, whose other lines stay whose they are. `used` are those that belong to
 * blocks when this returns, at least one; `clear` become zero. */
void tmebox_heap_give_lines(struct heap *heap, uint32_t page, uint64_t lines, uint64_t used, uint64_t clear,
                            uint16_t owner);

/* -- allocate.c: blocks. All under the heap's lock ------------------------------------------------------ */
#define BLOCK_DENSE 1
#define BLOCK_SHAREABLE 2
#define BLOCK_GUEST 4
#define BLOCK_MOVABLE 8
#define BLOCK_MOVED 16 /* the owner has it already, elsewhere: no limit counts, and its bytes are written at once */

/* Where a block starts, as page * LINES + line, or HEAP_NOWHERE with errno ENOMEM or EDQUOT (the owner's limit). */
uint32_t tmebox_heap_allocate(struct heap *heap, size_t size_bytes, uint16_t owner, unsigned flags);
/* The first of so many free lines in a row, in a page with these used; or LINES. */
unsigned tmebox_heap_room(uint64_t used, unsigned lines);
/* A block at these free lines of a page for any owner: its lines are zero, and its owner's. */
void tmebox_heap_place(struct heap *heap, uint32_t start, unsigned lines, uint16_t owner, unsigned flags);
/* The same, but the lines stay as they are, and whose they are. */
void tmebox_heap_claim(struct heap *heap, uint32_t start, unsigned lines, uint16_t owner, unsigned flags);
/* The block that starts there: how many lines; 0: none. */
uint64_t tmebox_heap_block_lines(const struct heap *heap, uint32_t start);
/* Where the block starts that a line is of; HEAP_NOWHERE: none. */
uint32_t tmebox_heap_block_of(const struct heap *heap, uint32_t line);
uint16_t tmebox_heap_block_owner(const struct heap *heap, uint32_t start);
bool tmebox_heap_made_by_guest(const struct heap *heap, uint32_t start);
/* What the host looks at is nobody's, but stays out of use until it does so no more. */
void tmebox_heap_free(struct heap *heap, uint32_t start);
/* All blocks of a page of small ones, whose handles name other places by now. */
void tmebox_heap_free_page(struct heap *heap, uint32_t page);
void tmebox_heap_view_ended(struct heap *heap, uint32_t start);
/* 0 or an errno: EDQUOT. */
int tmebox_heap_transfer(struct heap *heap, uint32_t start, uint16_t to);
/* Whether sandboxed code ends it, as if it had made it, or the host. */
void tmebox_heap_set_guest(struct heap *heap, uint32_t start, bool guest);
/* burial.c. Blocks, and views of them, whose last reference went. */
struct heap_doomed {
    struct heap_doomed *next;
    uint32_t start, handle; /* of a block with a handle: that, and not where it started */
    bool view;
};
void tmebox_heap_doom(struct heap *heap, struct heap_doomed *doomed);
void tmebox_heap_bury(struct heap *heap);

/* -- pages.c: whole pages ------------------------------------------------------------------------------- */
/* The first of `count` free pages in a row, now taken, or HEAP_NOWHERE. */
uint32_t tmebox_heap_take_pages(struct heap *heap, uint32_t count);
void tmebox_heap_return_pages(struct heap *heap, uint32_t page, uint32_t count);
void tmebox_heap_clear_pages(struct heap *heap, uint32_t page, uint32_t count);
void tmebox_heap_link(struct heap *heap, uint32_t *list, uint32_t page);
void tmebox_heap_unlink(struct heap *heap, uint32_t *list, uint32_t page);
/* punch.c. What goes back to the system just now is free again, so that it can be taken; false: nothing does. */
bool tmebox_heap_await_runs(struct heap *heap);

/* -- keys.c. Under the heap's lock ---------------------------------------------------------------------- */
/* A free key, or 0. */
uint16_t tmebox_heap_take_key(struct heap *heap, enum heap_key_state state);
void tmebox_heap_return_key(struct heap *heap, uint16_t key);
bool tmebox_heap_permit(struct heap *heap, uint16_t from, uint16_t to); /* false: no memory */
bool tmebox_heap_is_permitted(const struct heap *heap, uint16_t from, uint16_t to);
/* The key of a domain that has no block any more is free; other keys stay as they are. */
void tmebox_heap_leave_domain(struct heap *heap, uint16_t key);

/* -- tenants.c. Under the heap's lock, but attach and detach, which take it ----------------------------- */
/* What sandboxed code made and nobody adopted is freed. */
void tmebox_heap_end_guest_blocks(struct heap *heap, uint16_t key);
/* A sandbox of the window comes, with a key (0: there is none, with errno set), or goes: its blocks are freed, or
 * the host's again. It has the key as long as that has the same serial: a key goes with the window. */
uint16_t tmebox_heap_attach(struct heap *heap, struct window *window, uint64_t base, uint64_t limit_lines);
void tmebox_heap_detach(struct heap *heap, uint16_t key);
static inline bool tmebox_heap_has_key(const struct heap *heap, uint16_t key, uint32_t serial) {
    return key != 0 && heap->keys[key].serial == serial;
}
/* Everything is the host's. */
void tmebox_heap_close(struct heap *heap);
/* domains.c. 0 or an errno: EINVAL, ENOMEM, EAGAIN (no key). */
int tmebox_heap_share(struct heap *heap, uint32_t start, const struct heap_member *members, uint32_t count);
void tmebox_heap_leave_domains(struct heap *heap, uint16_t key);
/* For windows that go. */
void tmebox_heap_init(void);

/* -- handles.c. Under the heap's lock ------------------------------------------------------------------- */
/* Blocks with a handle may be moved while nobody has pinned them. 0 is no handle. */
uint32_t tmebox_heap_make_handle(struct heap *heap, uint32_t start); /* 0: none is left */
void tmebox_heap_drop_handle(struct heap *heap, uint32_t start);     /* if the block has one */
void tmebox_heap_put_handle_by(struct heap *heap, struct heap_handle *handle); /* that no block has: for another */
struct heap_handle *tmebox_heap_handle(const struct heap *heap, uint32_t handle); /* NULL: no such handle */
uint32_t tmebox_heap_handle_start(const struct heap *heap, uint32_t handle); /* HEAP_NOWHERE: no such handle */
uint32_t tmebox_heap_handle_of(const struct heap *heap, uint32_t start);     /* 0: it stays where it is */

/* -- moving.c. Under the heap's lock -------------------------------------------------------------------- */
/* Where the movable block is now, or HEAP_NOWHERE: no room, it has not moved. */
uint32_t tmebox_heap_move(struct heap *heap, uint32_t start, bool dense);
/* It stays where it now is until it was unpinned as often. */
uint32_t tmebox_heap_pin(struct heap *heap, struct heap_handle *handle);
/* The same for as long as a call of sandboxed code goes on, whatever that does with it. */
uint32_t tmebox_heap_begin_call(struct heap *heap, struct heap_handle *handle);
void tmebox_heap_end_call(struct heap *heap, struct heap_handle *handle);
static inline bool tmebox_heap_is_pinned(const struct heap_handle *handle) {
    return handle->pins != 0 || handle->calls != 0;
}

/* -- fault.c: what sandboxed code touches. Async-signal-safe -------------------------------------------- */
enum heap_fault {
    FAULT_GRANTED, /* to be tried again */
    FAULT_ASIDE,   /* allowed as far as is known: to be done on the side */
    FAULT_REFUSED, /* `violation` says why */
    FAULT_NO_HEAP, /* no memory of the heap */
};

enum heap_fault tmebox_heap_fault(struct heap *heap, uint16_t key, uint64_t offset, enum heap_access access,
                                  struct heap_violation *violation);
/* Copies, if all of it is the key's; else false, and `bad` says where not, and what the memory said of it under which
 * key (0: nothing). */
bool tmebox_heap_copy_out(struct heap *heap, uint16_t key, void *to, uint64_t offset, uint64_t size,
                          struct heap_bad *bad);
bool tmebox_heap_copy_in(struct heap *heap, uint16_t key, uint64_t offset, const void *from, uint64_t size,
                         struct heap_bad *bad);

#endif
