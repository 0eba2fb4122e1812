// SPDX-License-Identifier: GPL-2.0
/* Which key may use which page of a heap, and how a page changes keys. */
#include <linux/bitmap.h>
#include <linux/sched/signal.h>
#include <linux/string.h>

#include "tmebox.h"

#define MOVE_BATCH 256

/* Under the file's lock. 0 if the range is in the heap and the key is the file's, or is 0. */
static int check_range(struct tmebox_file *file, const struct tmebox_range *range, struct tmebox_key **key)
{
	if (!tmebox_range_fits(file->page_count, range->first, range->count))
		return -EINVAL;
	*key = xa_load(&file->keys, range->key);
	return range->key && !*key ? -ENOENT : 0;
}

/* A grant fails without memory, so that touching the pages does not. */
static int make_pages(struct tmebox_file *file, u64 first, u64 end)
{
	u64 number;

	for (number = first; number < end; number++) {
		struct page *page = tmebox_heap_page(file, number);

		if (IS_ERR(page))
			return PTR_ERR(page);
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

/*
 * Under the file's lock. Entries that carry the KeyID of these pages' owner
 * go, before the owner does: whoever had them must be granted them again.
 */
void tmebox_heap_end_shared(struct tmebox_file *file, u64 first, u64 count)
{
	const u64 end = first + count;
	struct tmebox_key *key;
	unsigned long id;
	u64 from, after;

	xa_for_each(&file->keys, id, key) {
		for (from = find_next_bit(key->shared, end, first); from < end;
		     from = find_next_bit(key->shared, end, after)) {
			after = find_next_zero_bit(key->shared, end, from);
			bitmap_clear(key->shared, from, after - from);
			bitmap_clear(key->readable, from, after - from);
			bitmap_clear(key->writable, from, after - from);
			tmebox_view_unmap(file, id, from, after - from);
			cond_resched();
		}
		cond_resched();
	}
}

/* Under the file's lock, between two pieces of a range. */
static int may_go_on(void)
{
	cond_resched();
	return fatal_signal_pending(current) ? -EINTR : 0;
}

static int set_owner(struct tmebox_file *file, unsigned int owner, u64 first, u64 end)
{
	int error = 0;
	u64 next;

	for (; !error && first < end; first = next) {
		next = tmebox_piece_end(first, end);
		tmebox_heap_end_shared(file, first, next - first);
		memset16(file->owners + first, owner, next - first);
		tmebox_view_unmap(file, 0, first, next - first);
		error = may_go_on();
	}
	return error;
}

int tmebox_heap_grant(struct tmebox_file *file, const struct tmebox_range *range)
{
	const u64 first = range->first, count = range->count;
	struct tmebox_key *key;
	int error;

	if (!tmebox_grant_makes_sense(range->key, range->rights))
		return -EINVAL;
	if (mutex_lock_killable(&file->lock))
		return -EINTR;
	error = check_range(file, range, &key);
	if (error)
		goto unlock;
	if (range->rights & TMEBOX_READ) {
		error = make_pages(file, first, first + count);
		if (error)
			goto unlock;
		bitmap_set(key->readable, first, count);
		if (range->rights & TMEBOX_WRITE)
			bitmap_set(key->writable, first, count);
		else
			bitmap_clear(key->writable, first, count);
		if (range->rights & TMEBOX_AS_OWNER)
			bitmap_set(key->shared, first, count);
		else
			bitmap_clear(key->shared, first, count);
		/* Entries made for the old rights go. */
		tmebox_view_unmap(file, key->id, first, count);
	}
	if (range->rights & TMEBOX_OWNER)
		error = set_owner(file, range->key, first, first + count);
unlock:
	mutex_unlock(&file->lock);
	return error;
}

int tmebox_heap_revoke(struct tmebox_file *file, const struct tmebox_range *range)
{
	struct tmebox_key *key;
	int error;

	if (!tmebox_revocation_makes_sense(range->key, range->rights))
		return -EINVAL;
	if (mutex_lock_killable(&file->lock))
		return -EINTR;
	error = check_range(file, range, &key);
	if (error)
		goto unlock;
	bitmap_clear(key->writable, range->first, range->count);
	if (range->rights & TMEBOX_READ)
		bitmap_clear(key->readable, range->first, range->count);
	tmebox_view_unmap(file, key->id, range->first, range->count);
unlock:
	mutex_unlock(&file->lock);
	return error;
}

int tmebox_heap_flush(struct tmebox_file *file, const struct tmebox_range *range)
{
	u64 first = range->first, end, next;
	struct tmebox_key *key;
	int error;

	if (range->rights)
		return -EINVAL;
	if (mutex_lock_killable(&file->lock))
		return -EINTR;
	error = check_range(file, range, &key);
	for (end = first + range->count; !error && first < end; first = next) {
		next = tmebox_piece_end(first, end);
		tmebox_heap_flush_pages(file, range->key, first, next, NULL);
		error = may_go_on();
	}
	mutex_unlock(&file->lock);
	return error;
}

static int move_pages(struct tmebox_file *file, struct tmebox_key *key, unsigned int to, u64 first, u64 end)
{
	unsigned int from, count;
	int error;

	for (; first < end; first += count) {
		from = file->owners[first];
		count = tmebox_heap_alike(file, first, min(end, first + MOVE_BATCH)) - first;
		error = may_go_on();
		if (!error && from != to)
			error = tmebox_lines_move(file->pages + first, count, from, to);
		if (error)
			return error;
		if (key)
			bitmap_set(key->used, first, count);
		memset16(file->owners + first, to, count);
	}
	return 0;
}

int tmebox_heap_move(struct tmebox_file *file, const struct tmebox_range *range)
{
	u64 first = range->first, end = first + range->count, next;
	struct tmebox_key *key;
	int error;

	if (range->rights)
		return -EINVAL;
	if (mutex_lock_killable(&file->lock))
		return -EINTR;
	error = check_range(file, range, &key);
	if (!error)
		error = make_pages(file, first, end);
	for (; !error && first < end; first = next) {
		next = tmebox_piece_end(first, end);
		/* Who looks through the host's view now waits for the lock. */
		tmebox_view_unmap(file, 0, first, next - first);
		tmebox_heap_end_shared(file, first, next - first);
		error = move_pages(file, key, range->key, first, next);
	}
	mutex_unlock(&file->lock);
	return error;
}

/* What a key may do with these pages ends, and so does what caches have of them under it. */
static void end_rights(struct tmebox_file *file, struct tmebox_key *key, u64 first, u64 count)
{
	bitmap_clear(key->readable, first, count);
	bitmap_clear(key->writable, first, count);
	bitmap_clear(key->shared, first, count);
	tmebox_view_unmap(file, key->id, first, count);
	tmebox_view_unmap_alias(file, key->id, first, count);
	tmebox_heap_flush_pages(file, key->id, first, first + count, key->used);
	bitmap_clear(key->used, first, count);
}

static void discard_pages(struct tmebox_file *file, u64 first, u64 count)
{
	struct tmebox_key *key;
	unsigned long id;
	u64 number;

	tmebox_view_unmap(file, 0, first, count);
	tmebox_view_unmap_alias(file, 0, first, count);
	xa_for_each(&file->keys, id, key)
		end_rights(file, key, first, count);
	for (number = first; number < first + count; number++) {
		cond_resched();
		file->owners[number] = 0;
		if (!file->pages[number])
			continue;
		tmebox_lines_rewrite(file->pages[number]);
		__free_page(file->pages[number]);
		file->pages[number] = NULL;
	}
}

int tmebox_heap_discard(struct tmebox_file *file, const struct tmebox_range *range)
{
	u64 first = range->first, end, next;
	struct tmebox_key *key;
	int error;

	if (range->rights || range->key)
		return -EINVAL;
	if (mutex_lock_killable(&file->lock))
		return -EINTR;
	error = check_range(file, range, &key);
	for (end = first + range->count; !error && first < end; first = next) {
		next = tmebox_piece_end(first, end);
		discard_pages(file, first, next - first);
		error = may_go_on();
	}
	mutex_unlock(&file->lock);
	return error;
}
