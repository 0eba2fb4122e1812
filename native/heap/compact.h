/* Making a heap dense, and giving back what is free then: what the files for that ask of each other. */
#ifndef TMEBOX_HEAP_COMPACT_H
#define TMEBOX_HEAP_COMPACT_H

#include "heap/heap.h"

#include <pthread.h>
#include <semaphore.h>

/* -- compact.c ------------------------------------------------------------------------------------------ */
/* Blocks that may be moved go together; free pages in long runs go back to the system, if `give_back`: how many bytes, and
 * pages. With no lock. One at a time; it ends early when the heap is closed. */
struct heap_compacted {
    uint64_t bytes;
    uint32_t pages;
};
struct heap_compacted tmebox_heap_compact(struct heap *heap, bool give_back);

/* -- moving.c. Under the heap's lock -------------------------------------------------------------------- */
/* The movable block comes to free lines of a page for any owner; what was where it has been is to be freed. */
void tmebox_heap_move_to(struct heap *heap, uint32_t start, uint32_t to);
/* The same in four steps, where the page lets it: what is free there is nobody's, so it can be filled before it gets an owner.
 * All blocks that are filled are so before one is revealed: `_mm_sfence`. */
bool tmebox_heap_fills_first(const struct heap *heap, uint32_t page);
uint16_t tmebox_heap_claim_for(struct heap *heap, uint32_t start, uint32_t to, unsigned lines); /* its owner */
void tmebox_heap_fill(struct heap *heap, uint32_t to, uint32_t start, unsigned lines);
/* With the group's lock: the lines are the owner's. */
void tmebox_heap_reveal(struct heap *heap, uint32_t start, uint32_t to, unsigned lines, uint16_t owner);

/* -- pages.c. Under the heap's lock --------------------------------------------------------------------- */
/* The first free page from `from` on, before `to`, and behind the last of its run; `to`: none. */
uint32_t tmebox_heap_free_run(const struct heap *heap, uint32_t from, uint32_t to, uint32_t *end);
void tmebox_heap_take_run(struct heap *heap, uint32_t page, uint32_t count); /* it is free no more */

/* -- punch.c -------------------------------------------------------------------------------------------- */
#define HEAP_RUNS 64 /* that go back at a time */

struct heap_run {
    uint32_t page, count, dirty;
    bool back; /* they hold nothing any more */
};

struct heap_punch {
    struct heap *heap;
    struct heap_run runs[HEAP_RUNS]; /* a ring */
    _Atomic uint32_t given, done;    /* how many so far */
    uint32_t collected, away, pages; /* under the heap's lock: runs so far; pages that are under way, and gone */
    bool helped;
    _Atomic bool over;
    sem_t wake;
    pthread_t thread;
};

/* Under the heap's lock, as long as the heap has none. */
void tmebox_heap_begin_punch(struct heap *heap, struct heap_punch *self);
/* Long runs of free pages in [from, to) are under way. Where it stopped: there is room for so many. Whoever gave them
 * without help has to punch them before the lock is taken again. */
uint32_t tmebox_heap_give_runs(struct heap_punch *self, uint32_t from, uint32_t to);
void tmebox_heap_collect_runs(struct heap_punch *self); /* those that went are free again */
void tmebox_heap_punch_runs(struct heap_punch *self);   /* not under the lock */
/* A thread that punches what is given, from when it is woken; `helped` says whether there is one. */
void tmebox_heap_begin_help(struct heap_punch *self);
void tmebox_heap_wake_help(struct heap_punch *self);
void tmebox_heap_end_help(struct heap_punch *self); /* all that was given went */

#endif
