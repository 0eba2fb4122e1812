/* mmap and its relatives over the heap's pages.

   The whole heap is readable and writable from the start and no sandbox can change page protections, so
   protections are accepted where ignoring them cannot make a working program wrong: everything but PROT_EXEC.
   File mappings are private copies. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "kernel.h"

enum { PAGE = TMEBOX_PAGE_SIZE };

/* Pages that hold `length` bytes; 0 for no bytes or more than a window can have. */
static size_t pages_for(size_t length)
{
	return length > TMEBOX_SHARED_END ? 0 : (length + PAGE - 1) / PAGE;
}

static long out_of_memory(size_t length)
{
	__tmebox_memory_exhausted(length);
	return -ENOMEM;
}

/* Fill fresh pages from a file; what lies behind its end stays zero. */
static long read_file(unsigned long start, size_t length, int fd, long offset)
{
	for (size_t done = 0; done < length;) {
		const long arguments[6] = { fd, start + done, length - done, offset + done };
		long result = __tmebox_ask(SYS_pread64, arguments);
		if (result < 0) return result;
		if (result == 0) break;
		done += result;
	}
	return 0;
}

static long place(unsigned long start, size_t length, size_t pages, int flags)
{
	if (!(flags & (MAP_FIXED | MAP_FIXED_NOREPLACE))) {
		start = (unsigned long)__tmebox_pages_get_for_stack(pages); /* of a thread, it may be */
		return start ? (long)start : out_of_memory(length);
	}
	if (start % PAGE) return -EINVAL;
	if (!__tmebox_pages_inside(start, pages)) return -ENOMEM;
	if (!(flags & MAP_FIXED) && __tmebox_pages_any_used(start, pages)) return -EEXIST;
	__tmebox_pages_put(start, pages);
	__tmebox_pages_claim(start, pages, 1);
	return start;
}

HIDDEN long __tmebox_mmap(unsigned long start, size_t length, int protection, int flags, int fd, long offset)
{
	size_t pages = pages_for(length);
	int anonymous = flags & MAP_ANONYMOUS;
	if (length == 0 || offset % PAGE || offset < 0) return -EINVAL;
	if (protection & PROT_EXEC) return -EACCES;
	if (!anonymous && (flags & MAP_TYPE) != MAP_PRIVATE && protection & PROT_WRITE) return -ENODEV;
	if (pages == 0) return out_of_memory(length);
	long result = place(start, length, pages, flags);
	if (result < 0 || anonymous) return result;
	long error = read_file(result, length, fd, offset);
	if (error < 0) __tmebox_pages_put(result, pages);
	return error < 0 ? error : result;
}

HIDDEN long __tmebox_munmap(unsigned long start, size_t length)
{
	size_t pages = pages_for(length);
	if (pages == 0 || !__tmebox_pages_inside(start, pages)) return -EINVAL;
	__tmebox_pages_put(start, pages);
	return 0;
}

HIDDEN long __tmebox_mremap(unsigned long start, size_t old_length, size_t new_length, int flags, unsigned long to)
{
	size_t old_pages = pages_for(old_length), pages = pages_for(new_length);
	if (old_pages == 0 || new_length == 0 || !__tmebox_pages_inside(start, old_pages)) return -EINVAL;
	if (pages == 0) return out_of_memory(new_length);
	if (flags & MREMAP_FIXED) {
		if (!(flags & MREMAP_MAYMOVE) || to % PAGE) return -EINVAL;
		if (to < start + old_pages * PAGE && start < to + pages * PAGE) return -EINVAL;
		long placed = place(to, new_length, pages, MAP_FIXED);
		if (placed < 0) return placed;
	} else {
		if (pages < old_pages) __tmebox_pages_put(start + pages * PAGE, old_pages - pages);
		if (pages <= old_pages) return start;
		if (__tmebox_pages_extend(start + old_pages * PAGE, pages - old_pages, 1)) return start;
		if (!(flags & MREMAP_MAYMOVE)) return -ENOMEM;
		to = (unsigned long)__tmebox_pages_get(pages, 1, 1);
		if (!to) return out_of_memory(new_length);
	}
	memcpy((void *)to, (const void *)start, (pages < old_pages ? pages : old_pages) * PAGE);
	__tmebox_pages_put(start, old_pages);
	return to;
}

/* Only MADV_DONTNEED is more than advice: callers count on reading zeros afterwards. */
HIDDEN long __tmebox_madvise(unsigned long start, size_t length, int advice)
{
	if (length == 0) return 0;
	size_t pages = pages_for(length);
	if (pages == 0 || !__tmebox_pages_inside(start, pages)) return -EINVAL;
	if (advice == MADV_DONTNEED) __tmebox_pages_zero(start, pages);
	return 0;
}

HIDDEN long __tmebox_mprotect(unsigned long start, size_t length, int protection)
{
	(void)length;
	if (start % PAGE) return -EINVAL;
	return protection & PROT_EXEC ? -EACCES : 0;
}
