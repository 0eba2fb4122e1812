/* Views: the heap as it is mapped in windows, and what is left of that. */
#ifndef TMEBOX_VIEWS_H
#define TMEBOX_VIEWS_H

#include "heap/heap.h"

/* mmu.c. Where no page is ever shown, and everything is done on the side. */
bool tmebox_heap_never_attached(struct heap_view *view);
bool tmebox_heap_nothing_to_detach(struct heap_view *view);
uint32_t tmebox_heap_nothing_granted(struct heap_view *view, uint32_t page, uint32_t count, unsigned rights);
void tmebox_heap_nothing_to_revoke(struct heap_view *view, uint32_t page, uint32_t count);
#define HEAP_ALL_ASIDE \
    .attach = tmebox_heap_never_attached, .detach = tmebox_heap_nothing_to_detach, .grant = tmebox_heap_nothing_granted, \
    .revoke = tmebox_heap_nothing_to_revoke
/* mmu.c. Views that are mapped, in use or parked. */
uint32_t tmebox_heap_view_count(void);
void tmebox_heap_views_after_fork(void);

/* holes.c: what is left of a view in a window, until another comes. Async-signal-safe. */
#define HEAP_MAPPINGS 2 /* that a view takes, or a hole: it, and the window's other half */
/* Instead of a view that is mapped; its mappings are the hole's. False: there are too many, and the view is as it was. */
bool tmebox_heap_leave_hole(struct window *window, uint64_t base, size_t size_bytes);
/* For a view, which is as large, and gets the mappings. False: there is none. */
bool tmebox_heap_take_hole(struct window *window);
/* One of another size is filled; with 0, any. False: not at the moment. */
bool tmebox_heap_keep_hole(struct window *window, size_t size_bytes);
void tmebox_heap_fill_holes(void);
void tmebox_heap_holes_after_fork(void);

/* carry.c. As a backend does it whose views are mappings that are opened up. */
bool tmebox_heap_carry(struct heap_view *from, struct heap_view *to, uint32_t page, uint32_t count);

#endif
