/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The module's own declarations.
 *
 *   device.c    the device, its ioctls
 *   heap.c      a file's pages and keys
 *   rights.c    which key may use which page
 *   view.c      mappings of the heap, and the faults in them
 *   keys.c      which KeyIDs are taken; PCONFIG
 *   lines.c     what is done to cache lines: flush, rewrite
 *   platform.c  what this machine has
 */
#ifndef TMEBOX_H
#define TMEBOX_H

#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/version.h>
#include <linux/xarray.h>

#include "tmebox_bits.h"

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
static inline void vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags |= flags;
}

static inline void vm_flags_clear(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags &= ~flags;
}
#endif

/* What this machine has. Set before the device exists, then only read. */
struct tmebox_platform {
	struct tmebox_layout layout;
	bool simulated;
	bool coherent;
};

extern struct tmebox_platform tmebox_platform;

int tmebox_platform_find(void);

/*
 * A key of one file. The bitmaps have a bit for each page of the heap.
 * @shared: entries carry the KeyID of the page's present owner.
 * @used: an entry with this KeyID was made, so lines may be cached under it.
 */
struct tmebox_key {
	unsigned int id;
	unsigned long *readable;
	unsigned long *writable;
	unsigned long *shared;
	unsigned long *used;
};

/*
 * An open file.
 *
 * @lock guards all below it, and is held over a check of the tables together
 * with the change of page-table entries that follows from it. So whenever it
 * is free, no entry of any view permits more than the tables say. Order:
 * mmap_lock, then @lock, then the mapping's i_mmap_rwsem. User memory is
 * never touched while it is held.
 */
struct tmebox_file {
	struct mm_struct *mm;		/* of the process that opened it */
	struct inode *inode;		/* of the heap: its i_mapping has the views */
	struct mutex lock;
	u64 page_count;			/* 0 before CREATE */
	struct page **pages;		/* NULL: not yet touched */
	u16 *owners;			/* KeyID in the host's view */
	struct xarray keys;		/* struct tmebox_key by number */
};

/*
 * Ranges are worked off in pieces. Between two of them others may have the
 * processor, and who is being killed ends.
 */
#define TMEBOX_PIECE (1ULL << 14)

static inline u64 tmebox_piece_end(u64 first, u64 end)
{
	return end - first < TMEBOX_PIECE ? end : first + TMEBOX_PIECE;
}

int tmebox_heap_create(struct tmebox_file *file, u64 pages);
void tmebox_heap_destroy(struct tmebox_file *file);
struct page *tmebox_heap_page(struct tmebox_file *file, u64 number);
void tmebox_heap_flush_pages(struct tmebox_file *file, unsigned int id, u64 first, u64 end,
			     const unsigned long *only);
int tmebox_heap_key_alloc(struct tmebox_file *file);
int tmebox_heap_key_free(struct tmebox_file *file, unsigned int id);
int tmebox_heap_grant(struct tmebox_file *file, const struct tmebox_range *range);
u64 tmebox_heap_alike(struct tmebox_file *file, u64 first, u64 end);
void tmebox_heap_end_shared(struct tmebox_file *file, u64 first, u64 count);
int tmebox_heap_revoke(struct tmebox_file *file, const struct tmebox_range *range);
int tmebox_heap_flush(struct tmebox_file *file, const struct tmebox_range *range);
int tmebox_heap_move(struct tmebox_file *file, const struct tmebox_range *range);
int tmebox_heap_discard(struct tmebox_file *file, const struct tmebox_range *range);

int tmebox_view_mmap(struct file *filp, struct vm_area_struct *vma);
void tmebox_view_unmap(struct tmebox_file *file, unsigned int key, u64 first, u64 count);
void tmebox_view_unmap_alias(struct tmebox_file *file, unsigned int key, u64 first, u64 count);

int tmebox_keys_start(void);
void tmebox_keys_stop(void);
int tmebox_keys_take(void);
void tmebox_keys_give_back(unsigned int id);

void tmebox_lines_flush(struct page **pages, unsigned int count, unsigned int key);
void tmebox_lines_flush_page(struct page *page);
int tmebox_lines_move(struct page **pages, unsigned int count, unsigned int from, unsigned int to);
void tmebox_lines_rewrite(struct page *page);

#endif
