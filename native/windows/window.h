/* Windows: what the core knows of each, and what every sandbox of one kind starts with.
 *
 * On the `userfault` substrate a window is part of one large writable mapping in which no page is present
 * until it is installed here: a touch of any other page is a SIGBUS, and its handler either installs what
 * belongs there or lets the sandbox trap. So one mapping holds a thousand windows, and memory grows by being
 * used. */
#ifndef TMEBOX_WINDOW_H
#define TMEBOX_WINDOW_H

#include "process.h"

#define PAGE TMEBOX_PAGE_SIZE

/* The 2 MiB that hold the top of the stack, the control page and the start of the image, under one page
 * table: most sandboxes touch nothing else. Which of its pages are present is kept bit by bit. */
#define HOT_SIZE (2 * TMEBOX_MIB)
#define HOT_START (TMEBOX_STACK_TOP / HOT_SIZE * HOT_SIZE)
#define HOT_PAGES (HOT_SIZE / PAGE)
#define HOT_WORDS (HOT_PAGES / 64)

/* What is present elsewhere, as runs of pages; more than these are not remembered one by one. */
#define RUNS 8

/* Read-only spans of one window that can be mapped; a module has one, or few. */
#define SHARED_SPANS 32

/* The first part of the arena, which every window has. */
#define ARENA_FIRST_PAGES 4

static_assert(TMEBOX_STACK_TOP - HOT_START == 16 * PAGE, "stack, control page and image lie together");
static_assert(TMEBOX_ARENA_START + ARENA_FIRST_PAGES * PAGE == TMEBOX_ARENA_FIRST_END,
              "the arena's beginning");

/* [start, end) offsets, whole pages. */
struct span {
    uint32_t start, end;
};

/* A window's first contents in the form that a signal handler can use. A Python object; windows hold it.
 * Pages of [IMAGE_START, …) that have data come from `data`, everything else is zero. */
struct template {
    PyObject_HEAD
    Py_buffer buffer;
    Py_buffer present;         /* one bit per page of `buffer`: has data */
    const unsigned char *data; /* NULL: none */
    bool shared;               /* `data` is a mapping whose pages windows may have too */
    uint32_t pages;
    uint32_t stack_low, stack_top, heap_start, heap_end, upper_start, upper_end;
    uint32_t stack_limit; /* above stack_low, where other things of the sandbox lie below its stack */
    uint32_t read_only_count;
    uint32_t read_only_end; /* there is none from here on */
    struct span *read_only; /* ascending */
};

/* What may be present is marked before it is installed, and only forgotten when nobody can install anything.
 */
struct window {
    struct template *_Atomic template; /* NULL: nothing may be touched */
    _Atomic uint64_t hot[HOT_WORDS];
    _Atomic uint64_t runs[RUNS];  /* page | count << 32 */
    _Atomic uint32_t run_count;   /* more than RUNS: pages of the private part may be present anywhere */
    _Atomic uint32_t arena_first; /* bits: pages of the arena's first part */
    _Atomic uint32_t arena_end;   /* offset behind the arena; what it has beyond its first part is present */
    uint32_t arena_most;          /* where it ended at most, for this owner: a fault on its way may still install a page
                                   * there, though the arena did not get so large after all */
    uint32_t upper_start, upper_end; /* heap and stack above the arena, if there is any: also where no template is */
    bool upper_stack; /* rsp stays in the upper half, where no shared heap may be */
    uint32_t shared;              /* bits: read-only spans that are mapped and not installed */
    bool broken;                  /* some of these hold nothing: nobody may have it before it was emptied */
    _Atomic uint32_t next_page;   /* where the last chunk ended */
    _Atomic uint32_t last_count;  /* and its size */
    _Atomic uint32_t scattered;   /* faults that did not go on from there */
    struct pin *pins;             /* what Python looks at; with the GIL held */
    struct heap_view *view;       /* of a shared heap; NULL: it never had one, or it has none any more */
    uint32_t hole;                /* heap/holes.c: what is left of the last one; 0: nothing */
    _Atomic uint32_t read_only_end; /* its template's */
    uint32_t unmerged_end;        /* merging.c: how far the kernel was told once more not to merge its pages */
};

/* Python looks at these pages of the private part, and may hand them to the kernel, for which nobody installs
 * pages: as long as it lives they stay present, once they are. A Python object. */
struct pin {
    PyObject_HEAD
    struct window *window;
    struct pin *next, **link;
    uint32_t start, end;
};

/* Several windows in one mapping. Never changed once published. */
struct piece {
    uint64_t base; /* of the first window */
    uint64_t count;
    struct window *windows;
    bool userfault;
    void *start; /* of the mapping, guards included */
    size_t size_bytes;
};

extern PyTypeObject tmebox_template_type, tmebox_pin_type;
extern PyMethodDef tmebox_window_methods[], tmebox_piece_methods[], tmebox_userfault_methods[], tmebox_memory_methods[];

/* -- copy.S ------------------------------------------------------------------------------------------- */
/* Accesses to a window at an address that sandboxed code chose: what faulted, or all zero. */
struct window_fault {
    uint64_t address;
    uint64_t how; /* signal | (access & 255) << 8 | code << 32 */
};

struct window_fault tmebox_window_copy(void *to, const void *from, size_t size_bytes);
void tmebox_window_fault(void);
extern const unsigned char tmebox_window_begin[], tmebox_window_end[];

/* -- userfault.c -------------------------------------------------------------------------------------- */
/* Async-signal-safe. How many bytes are installed, or -errno; -EEXIST: the first page is there already. */
int64_t tmebox_userfault_copy(uint64_t address, const void *source, size_t size_bytes, bool read_only);
int64_t tmebox_userfault_zero(uint64_t address, size_t size_bytes);
/* Makes a page writable that may have been installed read-only, or the other way round, if it is present. */
void tmebox_userfault_unprotect(uint64_t address);
void tmebox_userfault_protect(uint64_t address);
/* Makes an inaccessible mapping accessible where pages are installed; `shared`: those that a shared mapping has
 * already, too. 0 or an errno. */
int tmebox_userfault_open_up(void *start, size_t size_bytes, bool shared);
/* Only that no page of it comes by itself. What another userfaultfd has taken is refused. */
int tmebox_userfault_register(void *start, size_t size_bytes, bool shared);
/* Whether shared mappings can be opened up so, once the userfaultfd is open. */
bool tmebox_userfault_can_share(void);
/* Async-signal-safe: pages that a shared mapping has already become present at `address`. How many bytes, or
 * -errno; -EEXIST: the first is present; -EFAULT: there is none. */
int64_t tmebox_userfault_continue(uint64_t address, size_t size_bytes, bool read_only);
void tmebox_userfault_after_fork(void);

/* -- hostmemory.c ------------------------------------------------------------------------------------- */
int tmebox_map_zero(void *address, size_t size, int protection); /* -1 with errno set */
/* Counts up before a text goes: as long as it stays the same, what was in the code region is there, unchanged. */
extern _Atomic uint64_t tmebox_texts_gone;
extern uint64_t tmebox_processor; /* PROCESSOR_... bits, for the control pages of windows to come */
bool tmebox_write_buffer(uint64_t address, const Py_buffer *data); /* false with an exception set */

/* -- pieces.c ----------------------------------------------------------------------------------------- */
/* The window that holds the address, or NULL. Async-signal-safe. */
struct window *tmebox_find_window(uint64_t address, uint64_t *base);
/* Of memory that the host has locked: the piece that holds the address. Async-signal-safe. */
bool tmebox_unlock_piece(uint64_t address);
/* Calls it for each window that has a template; whether all calls were good. On any thread. */
bool tmebox_each_window(bool (*call)(struct window *window, uint64_t base, void *context), void *context);
void tmebox_pieces_after_fork(void);

/* -- merging.c ---------------------------------------------------------------------------------------- */
/* The host may have begun with it when there were windows already. For those that have owners now, on any thread. */
void tmebox_look_for_merging(void);
/* The same for one that is given to an owner, or made new for it: what the last one may have written, though it was
 * read-only, is as it was at first. False: not at the moment. */
bool tmebox_unmerge(struct window *window, uint64_t base);

/* -- install.c ---------------------------------------------------------------------------------------- */
enum toucher {
    SANDBOX_READS, /* and will probably write soon */
    SANDBOX_WRITES,
    HOST_READS,
    HOST_WRITES,
};

/* Installs the page at `offset`, and perhaps some of its neighbours, if the window's owner has it and may
 * touch it so. Async-signal-safe. */
bool tmebox_install(struct window *window, uint64_t base, uint64_t offset, enum toucher toucher);
/* Makes all of [offset, offset + size) present as far as it is the owner's. False: out of memory. */
bool tmebox_populate(struct window *window, uint64_t base, uint64_t offset, uint64_t size,
                     enum toucher toucher);
/* Writes by the host that fail, instead of ending the process, where there is no memory for a page. */
bool tmebox_window_write(uint64_t address, const void *from, size_t size_bytes);
bool tmebox_window_clear(uint64_t address, uint64_t size_bytes);
/* Whether a page of the hot part may be present. */
bool tmebox_is_marked(const struct window *window, uint32_t page);
bool tmebox_is_read_only(const struct template *template, uint32_t page);
/* Whether something of a sandbox's own may be there, above the arena; 0, 0: nothing is. */
bool tmebox_is_upper(uint64_t start, uint64_t end);
/* Offsets of the private part: its lowest, and where it ends. */
uint32_t tmebox_private_low(const struct template *template);
uint32_t tmebox_private_end(const struct template *template);
/* Whether the stack lies above the arena, and all that does: a heap's second part, the stack, and a guard between. */
bool tmebox_has_upper_stack(const struct template *template);
struct span tmebox_upper_part(const struct template *template);
/* Where a page's first contents are; NULL: zeros. */
const unsigned char *tmebox_first_contents(const struct template *template, uint32_t page);

/* -- share.c ------------------------------------------------------------------------------------------ */
/* For a window that has a template and nothing present yet. False: a part of it was lost, for want of memory: it is to be
 * emptied before anybody has it. */
bool tmebox_share(struct window *window, uint64_t base);
/* False: not all of it, for want of a mapping; to be tried again. */
bool tmebox_unshare(struct window *window, uint64_t base);
/* Zeros instead, at once, since others may be looking; until it is unshared. */
bool tmebox_blank_shared(const struct window *window, uint64_t base);
bool tmebox_is_shared(const struct window *window, uint32_t page);
void tmebox_share_after_fork(void);
/* Mappings that windows take beyond those of their pieces, from what there is for that. Async-signal-safe. */
bool tmebox_take_mappings(uint32_t count, bool for_heap);
void tmebox_return_mappings(uint32_t count);
/* How many there may be where a shared heap's view is made. */
void tmebox_allow_mappings(uint32_t most);
/* What was mapped over a part of a window goes: that is an empty part of its piece again. False: not at the moment. */
bool tmebox_window_part_again(uint64_t address, size_t size_bytes);
/* Handed over by heap/: the window with a view goes out of use, or is kept for another owner. False: not at the
 * moment. */
extern bool (*tmebox_view_ended)(struct window *window);
extern void (*tmebox_view_parked)(struct window *window);
/* The same: all of the window's piece is there again, where a view was before. False: not at the moment. */
extern bool (*tmebox_hole_filled)(struct window *window);

/* -- restore.c ---------------------------------------------------------------------------------------- */
/* Gives every page of the private part its first contents again; no call runs, but other threads may look on.
 * Pages that are not at hand go back to the system if there are more than `keep` of them. False: out of
 * memory half-way. */
bool tmebox_restore(struct window *window, uint64_t base, uint32_t keep);
/* The same for the whole window, which nobody uses any more. How many pages stay present; 0: none; -1: it
 * should be empty, and is as tmebox_empty leaves it. */
int64_t tmebox_recycle(struct window *window, uint64_t base, uint32_t keep);
/* Takes pages away, if nobody looks at them, else writes them: either way they are as they were at first. False:
 * out of memory half-way. */
bool tmebox_discard_but_pinned(const struct window *window, uint64_t base, uint64_t start, uint64_t end);
/* Takes pages away; they come back as they were at first. */
void tmebox_discard(uint64_t base, uint64_t start, uint64_t end);
/* windows.c. Makes whole pages of the heap zero, and gives their memory back. False with an exception set. */
bool tmebox_zero(struct window *window, uint64_t base, uint64_t offset, uint64_t size);
/* No page is present and none may be touched. Nobody uses it. False: shared read-only data still is, for want
 * of a mapping; nobody may have the window before this was tried again. */
bool tmebox_empty(struct window *window, uint64_t base);
uint32_t tmebox_pages_present(const struct window *window, uint64_t base);
/* Fresh random bytes for whoever owns the window. False with an exception set. */
bool tmebox_put_random(struct window *window, uint64_t base);
void tmebox_random_after_fork(void);

#endif
