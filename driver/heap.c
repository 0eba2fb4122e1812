// SPDX-License-Identifier: GPL-2.0
/* A file's heap: its pages and its keys, from their beginning to their end. */
#include <linux/bitmap.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "tmebox.h"

#define TABLE_FLAGS (GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL | __GFP_NOWARN)
#define PAGE_FLAGS (TABLE_FLAGS | __GFP_ZERO)
#define FLUSH_BATCH 256

int tmebox_heap_create(struct tmebox_file *file, u64 pages)
{
	struct page **table;
	u16 *owners;
	int error;

	if (!pages || pages > TMEBOX_HEAP_PAGES_MAX)
		return -EINVAL;
	if (pages > totalram_pages())
		return -ENOMEM;
	/* All of it counts as locked from the start, so that no fault fails for a limit. */
	error = account_locked_vm(file->mm, pages, true);
	if (error)
		return error;
	error = -ENOMEM;
	table = kvcalloc(pages, sizeof(*table), TABLE_FLAGS);
	owners = kvcalloc(pages, sizeof(*owners), TABLE_FLAGS);
	if (!table || !owners)
		goto fail;
	mutex_lock(&file->lock);
	if (file->page_count) {
		mutex_unlock(&file->lock);
		error = -EEXIST;
		goto fail;
	}
	file->pages = table;
	file->owners = owners;
	file->page_count = pages;
	mutex_unlock(&file->lock);
	return 0;

fail:
	kvfree(owners);
	kvfree(table);
	account_locked_vm(file->mm, pages, false);
	return error;
}

/* Under the file's lock. The page, made at its first use, or an error pointer. */
struct page *tmebox_heap_page(struct tmebox_file *file, u64 number)
{
	struct page *page = file->pages[number];

	if (page)
		return page;
	page = alloc_page(PAGE_FLAGS);
	if (!page)
		return ERR_PTR(-ENOMEM);
	if (!tmebox_frame_fits(&tmebox_platform.layout, page_to_pfn(page))) {
		pr_err_once("tmebox: memory lies where KeyIDs are\n");
		__free_page(page);
		return ERR_PTR(-EIO);
	}
	/* The zeros were written under key 0. They must not be written back over another key's. */
	tmebox_lines_flush_page(page);
	file->pages[number] = page;
	return page;
}

static void tables_destroy(struct tmebox_key *key)
{
	kvfree(key->readable);
	kvfree(key->writable);
	kvfree(key->shared);
	kvfree(key->used);
	kfree(key);
}

static struct tmebox_key *tables_create(u64 pages)
{
	struct tmebox_key *key = kzalloc(sizeof(*key), GFP_KERNEL_ACCOUNT);
	size_t words = BITS_TO_LONGS(pages);

	if (!key)
		return NULL;
	key->readable = kvcalloc(words, sizeof(long), TABLE_FLAGS);
	key->writable = kvcalloc(words, sizeof(long), TABLE_FLAGS);
	key->shared = kvcalloc(words, sizeof(long), TABLE_FLAGS);
	key->used = kvcalloc(words, sizeof(long), TABLE_FLAGS);
	if (key->readable && key->writable && key->shared && key->used)
		return key;
	tables_destroy(key);
	return NULL;
}

/* Its number, or a negative error. */
int tmebox_heap_key_alloc(struct tmebox_file *file)
{
	struct tmebox_key *key;
	int error;

	if (mutex_lock_killable(&file->lock))
		return -EINTR;
	error = -ENXIO;
	if (!file->page_count)
		goto unlock;
	error = -ENOMEM;
	key = tables_create(file->page_count);
	if (!key)
		goto unlock;
	error = tmebox_keys_take();
	if (error < 0)
		goto destroy;
	key->id = error;
	error = xa_err(xa_store(&file->keys, key->id, key, GFP_KERNEL_ACCOUNT));
	if (error)
		goto give_back;
	error = key->id;
	goto unlock;

give_back:
	tmebox_keys_give_back(key->id);
destroy:
	tables_destroy(key);
unlock:
	mutex_unlock(&file->lock);
	return error;
}

/* Flush those of the pages [first, end) that are there and, with @only, whose bit is set. */
void tmebox_heap_flush_pages(struct tmebox_file *file, unsigned int id, u64 first, u64 end,
			     const unsigned long *only)
{
	struct page **batch = kmalloc_array(FLUSH_BATCH, sizeof(*batch), GFP_KERNEL | __GFP_NOFAIL);
	unsigned int count = 0;
	u64 number;

	for (number = first; number < end; number++) {
		if (only) {
			number = find_next_bit(only, end, number);
			if (number >= end)
				break;
		}
		cond_resched();
		if (!file->pages[number])
			continue;
		batch[count++] = file->pages[number];
		if (count == FLUSH_BATCH) {
			tmebox_lines_flush(batch, count, id);
			count = 0;
		}
	}
	if (count)
		tmebox_lines_flush(batch, count, id);
	kfree(batch);
}

/* Where the pages end, at most at @end, that have the same owner as @first. */
u64 tmebox_heap_alike(struct tmebox_file *file, u64 first, u64 end)
{
	u64 number = first;

	while (number < end && file->owners[number] == file->owners[first])
		number++;
	return number;
}

/*
 * Under the file's lock, or when nobody else has the file. When it returns,
 * the KeyID is in no entry and in no cache, and pages that belonged to the
 * key hold zeros of the host.
 */
static void key_end(struct tmebox_file *file, struct tmebox_key *key)
{
	u64 number, end;

	xa_erase(&file->keys, key->id);
	tmebox_view_unmap(file, key->id, 0, file->page_count);
	tmebox_view_unmap_alias(file, key->id, 0, file->page_count);
	/* The host's view may have entries with this KeyID, and so may those of other keys. */
	tmebox_view_unmap(file, 0, 0, file->page_count);
	for (number = 0; number < file->page_count; number = end) {
		end = tmebox_heap_alike(file, number, tmebox_piece_end(number, file->page_count));
		if (file->owners[number] == key->id)
			tmebox_heap_end_shared(file, number, end - number);
		cond_resched();
	}
	tmebox_heap_flush_pages(file, key->id, 0, file->page_count, key->used);
	for (number = 0; number < file->page_count; number++) {
		cond_resched();
		if (file->owners[number] != key->id)
			continue;
		file->owners[number] = 0;
		if (file->pages[number])
			tmebox_lines_rewrite(file->pages[number]);
	}
	tmebox_keys_give_back(key->id);
	tables_destroy(key);
}

int tmebox_heap_key_free(struct tmebox_file *file, unsigned int id)
{
	struct tmebox_key *key;

	if (mutex_lock_killable(&file->lock))
		return -EINTR;
	key = xa_load(&file->keys, id);
	if (key)
		key_end(file, key);
	mutex_unlock(&file->lock);
	return key ? 0 : -ENOENT;
}

/* The file's last reference went: it has no views any more. */
void tmebox_heap_destroy(struct tmebox_file *file)
{
	struct tmebox_key *key;
	unsigned long id;
	u64 number;

	xa_for_each(&file->keys, id, key)
		key_end(file, key);
	xa_destroy(&file->keys);
	for (number = 0; number < file->page_count; number++) {
		struct page *page = file->pages[number];

		cond_resched();
		if (!page)
			continue;
		tmebox_lines_rewrite(page);
		__free_page(page);
	}
	kvfree(file->pages);
	kvfree(file->owners);
	if (file->page_count)
		account_locked_vm(file->mm, file->page_count, false);
}
