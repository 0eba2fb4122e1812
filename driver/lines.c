// SPDX-License-Identifier: GPL-2.0
/* What is done to cache lines of the heap's pages: flush under a KeyID, rewrite under key 0. */
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <asm/cacheflush.h>
#include <asm/smp.h>
#include <asm/special_insns.h>

#include "tmebox.h"

#define LINE_SIZE 64

static void *map_alias(struct page **pages, unsigned int count, unsigned int key)
{
	const u64 bits = tmebox_entry_bits(&tmebox_platform.layout, key);

	return vmap(pages, count, VM_MAP, __pgprot(pgprot_val(PAGE_KERNEL) | bits));
}

/* All of it, past the caches. */
static void write_line(void *to, const void *from)
{
	if (boot_cpu_has(X86_FEATURE_MOVDIR64B))
		movdir64b((void __force *)to, from);
	else
		memcpy(to, from, LINE_SIZE);
}

/* Also orders what was written before: the flush waits for it. */
void tmebox_lines_flush_page(struct page *page)
{
	clflush_cache_range(page_address(page), PAGE_SIZE);
}

/*
 * Caches are tagged with the KeyID, so a line is flushed through an address
 * that has it: a mapping made for this. Without memory for one, everything
 * is flushed; a line left behind could later be written over another's.
 */
void tmebox_lines_flush(struct page **pages, unsigned int count, unsigned int key)
{
	void *alias = map_alias(pages, count, key);

	if (!alias) {
		wbinvd_on_all_cpus();
		return;
	}
	clflush_cache_range(alias, count << PAGE_SHIFT);
	vunmap(alias);
}

/*
 * The same bytes under another key. A line is read, leaves the caches under
 * the old key, and is written as a whole: an ordinary store would read it
 * first, with the wrong key.
 */
int tmebox_lines_move(struct page **pages, unsigned int count, unsigned int from, unsigned int to)
{
	u8 line[LINE_SIZE] __aligned(LINE_SIZE);
	u8 *old = map_alias(pages, count, from), *new = map_alias(pages, count, to);
	size_t offset, size = (size_t)count << PAGE_SHIFT;
	int error = -ENOMEM;

	if (!old || !new)
		goto unmap;
	for (offset = 0; offset < size; offset += LINE_SIZE) {
		/* What does not verify stays, and does not verify under the new key either. */
		bool lost = copy_mc_to_kernel(line, old + offset, LINE_SIZE);

		clflush_cache_range(old + offset, LINE_SIZE);
		if (!lost)
			write_line(new + offset, line);
	}
	mb(); /* direct stores are ordered weakly */
	clflush_cache_range(new, size);
	memzero_explicit(line, sizeof(line));
	error = 0;
unmap:
	if (old)
		vunmap(old);
	if (new)
		vunmap(new);
	return error;
}

/*
 * Zeros under key 0. With integrity it must be whole lines, stored past the
 * caches: an ordinary store first reads the line, whose MAC is another key's.
 */
void tmebox_lines_rewrite(struct page *page)
{
	static const u8 zeros[LINE_SIZE] __aligned(LINE_SIZE);
	u8 *to = page_address(page);
	unsigned int offset;

	if (boot_cpu_has(X86_FEATURE_MOVDIR64B)) {
		for (offset = 0; offset < PAGE_SIZE; offset += LINE_SIZE)
			movdir64b((void __force *)(to + offset), zeros);
		mb(); /* direct stores are ordered weakly */
	} else {
		clear_page(to);
	}
	tmebox_lines_flush_page(page);
}
