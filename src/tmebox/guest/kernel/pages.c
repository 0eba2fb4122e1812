/* Page runs of the heap, first fit over a bitmap.

   The bitmap (bit set: page in use) sits at the heap's start: 64 KiB for the largest heap there is, and only the
   part of it that is used is ever touched. Free pages are always zero, so that no caller sees old contents and
   fresh pages cost nothing: whoever frees pays, with a memset, or for long runs with a host call that gives the
   memory back to the system. */
#define _GNU_SOURCE
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "kernel.h"

enum {
	PAGE = TMEBOX_PAGE_SIZE,
	WORD_BITS = 64,
	/* From here on a host call that discards is cheaper than writing zeros. */
	DISCARD_PAGES = 64,
};

static unsigned long *used_bits;
static size_t first_page, page_count;
static size_t lowest_free; /* no page below this index is free */

static int initialise(void)
{
	if (used_bits) return 1;
	unsigned long start = *(const unsigned long *)TMEBOX_CONTROL_HEAP_START;
	unsigned long end = *(const unsigned long *)TMEBOX_CONTROL_HEAP_END;
	start = (start + PAGE - 1) & -(unsigned long)PAGE;
	end &= -(unsigned long)PAGE;
	if (start >= end) return 0;
	first_page = start / PAGE;
	page_count = (end - start) / PAGE;
	size_t bitmap_pages = (page_count / 8 + PAGE) / PAGE;
	if (bitmap_pages >= page_count) {
		page_count = 0;
		return 0;
	}
	used_bits = (unsigned long *)start;
	lowest_free = bitmap_pages;
	__tmebox_pages_claim(start, bitmap_pages);
	return 1;
}

/* The first page at or after `index` whose bit differs from those of `skip` (0 or ~0); page_count if none. */
static size_t find(size_t index, unsigned long skip)
{
	while (index < page_count) {
		unsigned long word = (used_bits[index / WORD_BITS] ^ skip) >> index % WORD_BITS;
		if (word) {
			index += __builtin_ctzl(word);
			return index < page_count ? index : page_count;
		}
		index = (index / WORD_BITS + 1) * WORD_BITS;
	}
	return page_count;
}

static size_t next_free(size_t index)
{
	return find(index, ~0UL);
}

static size_t next_used(size_t index)
{
	return find(index, 0);
}

static void mark(size_t index, size_t pages, int used)
{
	for (size_t end = index + pages; index < end;) {
		size_t bit = index % WORD_BITS;
		size_t run = WORD_BITS - bit < end - index ? WORD_BITS - bit : end - index;
		unsigned long mask = (run == WORD_BITS ? ~0UL : (1UL << run) - 1) << bit;
		if (used) used_bits[index / WORD_BITS] |= mask;
		else used_bits[index / WORD_BITS] &= ~mask;
		index += run;
	}
}

static size_t index_of(unsigned long start)
{
	return start / PAGE - first_page;
}

/* Whether `start` is page-aligned and [start, start + pages) lies in what the heap hands out. */
HIDDEN int __tmebox_pages_inside(unsigned long start, size_t pages)
{
	if (!initialise() || start % PAGE) return 0;
	size_t index = index_of(start);
	size_t bitmap_pages = (page_count / 8 + PAGE) / PAGE;
	return index >= bitmap_pages && index < page_count && pages <= page_count - index;
}

HIDDEN int __tmebox_pages_any_used(unsigned long start, size_t pages)
{
	size_t index = index_of(start);
	return next_used(index) < index + pages;
}

/* Mark as used; the caller has checked that the range is inside. */
HIDDEN void __tmebox_pages_claim(unsigned long start, size_t pages)
{
	mark(index_of(start), pages, 1);
}

/* The lowest run of `pages` free pages, all zero, whose page number is a multiple of `align` (a power of two);
   null if there is none. */
HIDDEN void *__tmebox_pages_get(size_t pages, size_t align)
{
	if (!initialise() || pages == 0 || pages > page_count) return NULL;
	lowest_free = next_free(lowest_free);
	for (size_t start = lowest_free; start < page_count;) {
		size_t end = next_used(start);
		size_t aligned = start + (-(first_page + start) & (align - 1));
		if (aligned <= end && end - aligned >= pages) {
			mark(aligned, pages, 1);
			return (void *)((first_page + aligned) * PAGE);
		}
		start = next_free(end);
	}
	return NULL;
}

HIDDEN int __tmebox_pages_range(unsigned long *start, unsigned long *end)
{
	if (!initialise()) return 0;
	*start = first_page * PAGE;
	*end = (first_page + page_count) * PAGE;
	return 1;
}

/* Take the pages right after a run, if all of them are free. */
HIDDEN int __tmebox_pages_extend(unsigned long start, size_t pages)
{
	if (!__tmebox_pages_inside(start, pages) || __tmebox_pages_any_used(start, pages)) return 0;
	__tmebox_pages_claim(start, pages);
	return 1;
}

/* Make the contents of a run zero. */
HIDDEN void __tmebox_pages_zero(unsigned long start, size_t pages)
{
	if (pages >= DISCARD_PAGES) {
		const long arguments[6] = { start, pages * PAGE, MADV_DONTNEED };
		if (__tmebox_syscall(SYS_madvise, arguments) == 0) return;
	}
	memset((void *)start, 0, pages * PAGE);
}

/* Give back a run that is inside. Pages in it that are free already stay free. */
HIDDEN void __tmebox_pages_put(unsigned long start, size_t pages)
{
	__tmebox_pages_zero(start, pages);
	size_t index = index_of(start);
	mark(index, pages, 0);
	if (index < lowest_free) lowest_free = index;
}

/* Tell the host, so that the null pointer the program may now run into is reported as what it is. */
HIDDEN void __tmebox_memory_exhausted(size_t size_bytes)
{
	const long arguments[6] = { size_bytes };
	__tmebox_syscall(TMEBOX_SYS_MEMORY_EXHAUSTED, arguments);
}
