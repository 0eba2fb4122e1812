/* Page runs of the heap, first fit over a bitmap.

   Two bitmaps sit at the heap's start: which pages are in use, and which free ones are dirty, that is may not be
   zero. They take 256 KiB for the largest heap there is, of which only what is needed is ever touched. Freeing
   leaves pages dirty, or has the host discard them if there are many; whoever asks for zeros has the dirty ones
   cleared. Pages never used before are zero and cost nothing. */
#define _GNU_SOURCE
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "kernel.h"

enum {
	PAGE = TMEBOX_PAGE_SIZE,
	WORD_BITS = 64,
	/* A run of so many pages is given back to the system when it is freed. */
	DISCARD_PAGES = 256,
};

static unsigned long *used, *dirty;
static size_t first_page, page_count, own_pages;
static size_t hole_start, hole_end; /* pages that are not the heap's, between its two parts */
static size_t lowest_free; /* no page below this index is free */
static size_t first_for_stacks; /* the stack pointer stays above it; 0: anywhere */

/* Change `pages` bits from `index` on. */
static void set_bits(unsigned long *bits, size_t index, size_t pages, int value)
{
	for (size_t end = index + pages; index < end;) {
		size_t bit = index % WORD_BITS;
		size_t run = WORD_BITS - bit < end - index ? WORD_BITS - bit : end - index;
		unsigned long mask = (run == WORD_BITS ? ~0UL : (1UL << run) - 1) << bit;
		if (value) bits[index / WORD_BITS] |= mask;
		else bits[index / WORD_BITS] &= ~mask;
		index += run;
	}
}

/* The first page from `index` on, below `end`, whose bit is `value`; else `end`. */
static size_t find(const unsigned long *bits, size_t index, size_t end, int value)
{
	unsigned long flip = value ? 0 : ~0UL;
	while (index < end) {
		unsigned long word = (bits[index / WORD_BITS] ^ flip) >> index % WORD_BITS;
		if (word) {
			index += (size_t)__builtin_ctzl(word);
			return index < end ? index : end;
		}
		index = (index / WORD_BITS + 1) * WORD_BITS;
	}
	return end;
}

static int initialise(void)
{
	if (used) return 1;
	unsigned long start = *(const unsigned long *)TMEBOX_CONTROL_HEAP_START;
	unsigned long end = *(const unsigned long *)TMEBOX_CONTROL_HEAP_END;
	start = (start + PAGE - 1) & -(unsigned long)PAGE;
	end &= -(unsigned long)PAGE;
	if (start >= end) return 0;
	unsigned long upper = *(const unsigned long *)TMEBOX_CONTROL_UPPER_START, lower_end = end;
	if (upper) end = *(const unsigned long *)TMEBOX_CONTROL_UPPER_END;
	size_t count = (end - start) / PAGE;
	size_t words = count / WORD_BITS + 1;
	size_t own = (2 * words * sizeof *used + PAGE - 1) / PAGE;
	if (own >= (lower_end - start) / PAGE) return 0;
	first_page = start / PAGE;
	page_count = count;
	own_pages = lowest_free = own;
	unsigned long lowest = __tmebox_stacks_start();
	first_for_stacks = lowest > start ? (lowest - start) / PAGE : 0;
	used = (unsigned long *)start;
	dirty = used + words;
	set_bits(used, 0, own, 1);
	if (upper) {
		hole_start = (lower_end - start) / PAGE;
		hole_end = (upper - start) / PAGE;
		set_bits(used, hole_start, hole_end - hole_start, 1);
	}
	return 1;
}

static size_t index_of(unsigned long start)
{
	return start / PAGE - first_page;
}

/* Where the heap is. 0 if there is none. */
HIDDEN int __tmebox_pages_range(unsigned long *start, unsigned long *end)
{
	if (!initialise()) return 0;
	*start = first_page * PAGE;
	*end = (first_page + page_count) * PAGE;
	return 1;
}

/* Whether `start` is page-aligned and [start, start + pages) lies in what the heap hands out. */
HIDDEN int __tmebox_pages_inside(unsigned long start, size_t pages)
{
	if (!initialise() || start % PAGE || start / PAGE < first_page) return 0;
	size_t index = index_of(start);
	if (index < own_pages || index >= page_count || pages > page_count - index) return 0;
	return index >= hole_end || index + pages <= hole_start || hole_end == 0;
}

HIDDEN int __tmebox_pages_any_used(unsigned long start, size_t pages)
{
	size_t index = index_of(start);
	return find(used, index, index + pages, 1) < index + pages;
}

/* Mark pages as used, whatever they were; the caller has checked that they are inside. With `zero`, those that
   were free are zero afterwards. */
HIDDEN void __tmebox_pages_claim(unsigned long start, size_t pages, int zero)
{
	size_t index = index_of(start), end = index + pages;
	set_bits(used, index, pages, 1);
	for (size_t at = find(dirty, index, end, 1); zero && at < end;) {
		size_t clean = find(dirty, at, end, 0);
		memset((void *)((first_page + at) * PAGE), 0, (clean - at) * PAGE);
		at = find(dirty, clean, end, 1);
	}
	set_bits(dirty, index, pages, 0);
}

/* The lowest run of `pages` free pages from the free page `start` on. */
static void *get_from(size_t start, size_t pages, size_t align, int zero)
{
	while (start < page_count) {
		size_t end = find(used, start, page_count, 1);
		size_t aligned = start + (-(first_page + start) & (align - 1));
		if (aligned <= end && end - aligned >= pages) {
			unsigned long place = (first_page + aligned) * PAGE;
			__tmebox_pages_claim(place, pages, zero);
			return (void *)place;
		}
		start = find(used, end, page_count, 0);
	}
	return NULL;
}

/* The lowest run of `pages` free pages whose page number is a multiple of `align` (a power of two); null if there
   is none. */
HIDDEN void *__tmebox_pages_get(size_t pages, size_t align, int zero)
{
	if (!initialise() || pages == 0 || pages > page_count) return NULL;
	lowest_free = find(used, lowest_free, page_count, 0);
	return get_from(lowest_free, pages, align, zero);
}

/* The same, where a stack can be, if there is room. */
HIDDEN void *__tmebox_pages_get_for_stack(size_t pages)
{
	if (!initialise() || pages == 0 || pages > page_count) return NULL;
	void *found = first_for_stacks ? get_from(find(used, first_for_stacks, page_count, 0), pages, 1, 1) : NULL;
	return found ? found : __tmebox_pages_get(pages, 1, 1);
}

/* Take the pages right after a run, if all of them are free. */
HIDDEN int __tmebox_pages_extend(unsigned long start, size_t pages, int zero)
{
	if (!__tmebox_pages_inside(start, pages) || __tmebox_pages_any_used(start, pages)) return 0;
	__tmebox_pages_claim(start, pages, zero);
	return 1;
}

/* Have the host replace pages by zeros; 0 if they are too few for that to pay, or it cannot. */
static int discard(unsigned long start, size_t pages)
{
	const long arguments[6] = { (long)start, (long)(pages * PAGE), MADV_DONTNEED };
	return pages >= DISCARD_PAGES && __tmebox_ask(SYS_madvise, arguments) == 0;
}

/* Make the contents of pages in use zero. */
HIDDEN void __tmebox_pages_zero(unsigned long start, size_t pages)
{
	if (!discard(start, pages)) memset((void *)start, 0, pages * PAGE);
}

/* Give back a run that is inside. Pages in it that are free already stay free. */
HIDDEN void __tmebox_pages_put(unsigned long start, size_t pages)
{
	size_t index = index_of(start);
	set_bits(dirty, index, pages, !discard(start, pages));
	set_bits(used, index, pages, 0);
	if (index < lowest_free) lowest_free = index;
}

/* Tell the host, so that the null pointer the program may now run into is reported as what it is. */
HIDDEN void __tmebox_memory_exhausted(size_t size_bytes)
{
	const long arguments[6] = { (long)size_bytes };
	__tmebox_ask(TMEBOX_SYS_MEMORY_EXHAUSTED, arguments);
}
