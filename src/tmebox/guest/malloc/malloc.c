/* The allocator.

   Small objects (up to 8 KiB) come from spans: 64 KiB of equal slots, one size class each. A span's bookkeeping is
   in a table indexed by address, so it costs no space beside the objects, survives a program's off-by-ones, and
   makes slots of a power of two aligned to their size. Each class keeps a list of its spans that have a free slot;
   malloc takes from the first of them. Everything else is a run of pages with a header just before the object.

   Zero state is ready state, and no allocation leaves the sandbox. One thread runs at a time, so no locks: while others
   live, a turn does not end in here. Pointers are kept as 32 bits: all of a sandbox's memory is below 4 GiB. */
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernel.h"
#include "tasks.h"

enum {
	PAGE = TMEBOX_PAGE_SIZE,
	SPAN_SHIFT = 16,
	SPAN = 1 << SPAN_SHIFT,
	SPAN_PAGES = SPAN / PAGE,
	GRAIN = 16,
	LINEAR_LIMIT = 128, /* classes are 16 bytes apart up to here, then four per doubling */
	LINEAR_CLASSES = LINEAR_LIMIT / GRAIN,
	SMALL_LIMIT = 8192,
	CLASSES = LINEAR_CLASSES + 4 * 6,
	HEADER = GRAIN,
	LARGE_MARK = 0x6c617267,
};

#define NONE UINT32_MAX

struct span {
	uint32_t free;	   /* first free slot, which holds the next one's address; 0: none */
	uint32_t fresh;	   /* slots from here to the span's end have never been used */
	uint32_t next, prev; /* indices in the class's list, or NONE */
	uint16_t slot_size; /* 0: not a span */
	uint16_t used;
	uint8_t class;
	uint8_t listed;
};

/* Just before the object, which may lie anywhere in the run's first pages if it is aligned. */
struct large {
	uint32_t start, pages;
	uint32_t mark, unused;
};

static struct span *spans; /* the one of address p is spans[(p >> SPAN_SHIFT) - first_span] */
static size_t first_span, span_count;
static uint32_t available[CLASSES]; /* head of each class's list, as index + 1; 0: empty */

static unsigned class_of(size_t size)
{
	if (size <= LINEAR_LIMIT) return size ? (unsigned)((size - 1) / GRAIN) : 0;
	unsigned magnitude = 63 - (unsigned)__builtin_clzl(size - 1);
	return LINEAR_CLASSES + (magnitude - 7) * 4 + (unsigned)((size - 1) >> (magnitude - 2) & 3);
}

static unsigned size_of(unsigned class)
{
	if (class < LINEAR_CLASSES) return (class + 1) * GRAIN;
	unsigned step = class - LINEAR_CLASSES;
	return (5 + step % 4) << (5 + step / 4);
}

static int initialise(void)
{
	unsigned long start, end;
	if (!__tmebox_pages_range(&start, &end)) return 0;
	first_span = start >> SPAN_SHIFT;
	span_count = ((end - 1) >> SPAN_SHIFT) - first_span + 1;
	spans = __tmebox_pages_get((span_count * sizeof *spans + PAGE - 1) / PAGE, 1, 1);
	return spans != NULL;
}

static void *exhausted(size_t size)
{
	__tmebox_memory_exhausted(size);
	errno = ENOMEM;
	return NULL;
}

static struct span *span_of(const void *object)
{
	size_t index = ((uintptr_t)object >> SPAN_SHIFT) - first_span;
	if (index >= span_count) __builtin_trap(); /* not an address malloc gave out */
	return &spans[index];
}

static void enlist(struct span *span)
{
	uint32_t index = (uint32_t)(span - spans), *head = &available[span->class];
	span->prev = NONE;
	span->next = *head ? *head - 1 : NONE;
	if (*head) spans[*head - 1].prev = index;
	*head = index + 1;
	span->listed = 1;
}

static void delist(struct span *span)
{
	if (span->prev == NONE) available[span->class] = span->next == NONE ? 0 : span->next + 1;
	else spans[span->prev].next = span->next;
	if (span->next != NONE) spans[span->next].prev = span->prev;
	span->listed = 0;
}

static uintptr_t start_of(const struct span *span)
{
	return (first_span + (size_t)(span - spans)) << SPAN_SHIFT;
}

static struct span *new_span(unsigned class)
{
	void *memory = __tmebox_pages_get(SPAN_PAGES, SPAN_PAGES, 0);
	if (!memory) return NULL;
	struct span *span = span_of(memory);
	*span = (struct span){ .fresh = (uint32_t)(uintptr_t)memory, .slot_size = (uint16_t)size_of(class), .class = class };
	enlist(span);
	return span;
}

/* Chain up the next page's worth of fresh slots; 0 if there are none left. */
static int carve(struct span *span)
{
	uint32_t size = span->slot_size, left = (uint32_t)(start_of(span) + SPAN - span->fresh) / size;
	uint32_t count = size < PAGE ? PAGE / size : 1;
	if (left == 0) return 0;
	if (count > left) count = left;
	uint32_t slot = span->fresh;
	span->free = slot;
	for (; --count; slot += size) *(uint32_t *)(uintptr_t)slot = slot + size;
	*(uint32_t *)(uintptr_t)slot = 0;
	span->fresh = slot + size;
	return 1;
}

/* A span of the class that has a free slot, or null. Full ones met on the way leave the list. */
static __attribute__((__noinline__)) struct span *refill(unsigned class)
{
	if (!spans && !initialise()) return NULL;
	while (available[class]) {
		struct span *span = &spans[available[class] - 1];
		if (span->free || carve(span)) return span;
		delist(span);
	}
	struct span *span = new_span(class);
	if (span) carve(span);
	return span;
}

static void *small(size_t size)
{
	unsigned class = class_of(size);
	struct span *span = available[class] ? &spans[available[class] - 1] : NULL;
	if (!span || !span->free) {
		span = refill(class);
		if (!span) return exhausted(size);
	}
	uint32_t slot = span->free;
	span->free = *(uint32_t *)(uintptr_t)slot;
	span->used++;
	return (void *)(uintptr_t)slot;
}

static void *large(size_t size, size_t align, int zero)
{
	if ((!spans && !initialise()) || size > TMEBOX_SHARED_END || align > TMEBOX_SHARED_END) return exhausted(size);
	size_t pages = (HEADER + (align > GRAIN ? align - GRAIN : 0) + size + PAGE - 1) / PAGE;
	uintptr_t start = (uintptr_t)__tmebox_pages_get(pages, 1, zero);
	if (!start) return exhausted(size);
	uintptr_t object = (start + HEADER + align - 1) & -align;
	*(struct large *)(object - HEADER) =
		(struct large){ .start = (uint32_t)start, .pages = (uint32_t)pages, .mark = LARGE_MARK };
	return (void *)object;
}

static struct large *large_of(void *object)
{
	struct large *header = (struct large *)((uintptr_t)object - HEADER);
	if ((uintptr_t)object % GRAIN || header->mark != LARGE_MARK) __builtin_trap();
	return header;
}

/* A slot came back to a span that was full, or the last one of a span did. */
static __attribute__((__noinline__)) void rearrange(struct span *span)
{
	if (!span->listed) enlist(span);
	if (span->used) return;
	/* Keep one span per class, so that a program that frees and allocates in turns stays fast. */
	if (span->prev == NONE && span->next == NONE) return;
	delist(span);
	uintptr_t start = start_of(span);
	*span = (struct span){ 0 };
	__tmebox_pages_put(start, SPAN_PAGES);
}

static size_t capacity(void *object)
{
	struct span *span = span_of(object);
	if (span->slot_size) return span->slot_size;
	struct large *header = large_of(object);
	return header->start + (size_t)header->pages * PAGE - (uintptr_t)object;
}

/* While there are other threads, these go to their ends in one turn. */
static inline void *allocate(size_t size)
{
	return size <= SMALL_LIMIT ? small(size) : large(size, GRAIN, 0);
}

static __attribute__((__noinline__)) void *allocate_in_one_turn(size_t size)
{
	__tmebox_keep_turn();
	void *object = allocate(size);
	__tmebox_release_turn();
	return object;
}

hidden void *__libc_malloc(size_t size)
{
	return __builtin_expect(__tmebox_others != 0, 0) ? allocate_in_one_turn(size) : allocate(size);
}

static inline void release(void *object)
{
	struct span *span = span_of(object);
	if (!span->slot_size) {
		struct large *header = large_of(object);
		uint32_t pages = header->pages;
		uintptr_t start = header->start;
		header->mark = 0;
		__tmebox_pages_put(start, pages);
		return;
	}
	*(uint32_t *)object = span->free;
	span->free = (uint32_t)(uintptr_t)object;
	span->used--;
	if (!span->used || !span->listed) rearrange(span);
}

static __attribute__((__noinline__)) void release_in_one_turn(void *object)
{
	__tmebox_keep_turn();
	release(object);
	__tmebox_release_turn();
}

hidden void __libc_free(void *object)
{
	if (!object) return;
	if (__builtin_expect(__tmebox_others != 0, 0)) release_in_one_turn(object);
	else release(object);
}

static __attribute__((__noinline__)) void *large_in_one_turn(size_t size, size_t align, int zero)
{
	__tmebox_keep_turn();
	void *object = large(size, align, zero);
	__tmebox_release_turn();
	return object;
}

hidden void *__libc_calloc(size_t count, size_t size)
{
	size_t total;
	if (__builtin_mul_overflow(count, size, &total)) return exhausted(SIZE_MAX);
	if (total > SMALL_LIMIT) return large_in_one_turn(total, GRAIN, 1);
	void *object = __libc_malloc(total);
	return object ? memset(object, 0, total) : NULL;
}

/* Grow or shrink a run of pages where it is; 0 if it cannot. */
static int resize_large(void *object, size_t size)
{
	struct large *header = large_of(object);
	if (size <= SMALL_LIMIT || size > TMEBOX_SHARED_END) return 0;
	size_t pages = ((uintptr_t)object - header->start + size + PAGE - 1) / PAGE;
	uintptr_t end = header->start + (uintptr_t)header->pages * PAGE;
	if (pages > header->pages && !__tmebox_pages_extend(end, pages - header->pages, 0)) return 0;
	if (pages < header->pages) __tmebox_pages_put(header->start + pages * PAGE, header->pages - pages);
	header->pages = (uint32_t)pages;
	return 1;
}

hidden void *__libc_realloc(void *object, size_t size)
{
	if (!object) return __libc_malloc(size);
	struct span *span = span_of(object);
	__tmebox_keep_turn();
	int stays = span->slot_size ? size <= SMALL_LIMIT && class_of(size) == span->class : resize_large(object, size);
	__tmebox_release_turn();
	if (stays) return object;
	void *moved = __libc_malloc(size);
	if (!moved) return NULL;
	size_t kept = capacity(object);
	memcpy(moved, object, kept < size ? kept : size);
	__libc_free(object);
	return moved;
}

static void *aligned(size_t align, size_t size)
{
	if (align <= GRAIN) return __libc_malloc(size);
	if (size <= SMALL_LIMIT && align <= SMALL_LIMIT) {
		/* A slot of a power of two is aligned to its size. */
		size_t slot = size > align ? size : align;
		return __libc_malloc(1UL << (64 - __builtin_clzl(slot - 1)));
	}
	return large_in_one_turn(size, align, 0);
}

void *aligned_alloc(size_t align, size_t size)
{
	if (align & (align - 1)) {
		errno = EINVAL;
		return NULL;
	}
	return aligned(align, size);
}

int posix_memalign(void **result, size_t align, size_t size)
{
	if (align < sizeof(void *) || align & (align - 1)) return EINVAL;
	int saved = errno;
	void *object = aligned(align, size);
	errno = saved;
	if (!object) return ENOMEM;
	*result = object;
	return 0;
}

size_t malloc_usable_size(void *object)
{
	return object ? capacity(object) : 0;
}

/* Weak, so that a program can bring its own. */
weak_alias(__libc_malloc, malloc);
weak_alias(__libc_free, free);
weak_alias(__libc_calloc, calloc);
weak_alias(__libc_realloc, realloc);
weak_alias(aligned_alloc, memalign);
