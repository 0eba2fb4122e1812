// SPDX-License-Identifier: GPL-2.0
/* What is done to cache lines of the heap's pages: flush under a KeyID, rewrite under key 0. */
#include <linux/vmalloc.h>
#include <asm/cacheflush.h>
#include <asm/smp.h>
#include <asm/special_insns.h>

#include "tmebox.h"

#define LINE_SIZE 64

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
	const u64 bits = tmebox_entry_bits(&tmebox_platform.layout, key);
	void *alias;

	alias = vmap(pages, count, VM_MAP, __pgprot(pgprot_val(PAGE_KERNEL) | bits));
	if (!alias) {
		wbinvd_on_all_cpus();
		return;
	}
	clflush_cache_range(alias, count << PAGE_SHIFT);
	vunmap(alias);
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
