/* Loaded before the C library: counts mappings at fixed addresses, and lets one of them fail in the worst way, after what
 * was there has gone. The next attempts to fill the place fail, too. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

int fixed_calls, failing_call;
static int refusals;

static int fails(void *start, size_t size)
{
    if (++fixed_calls != failing_call)
        return 0;
    syscall(SYS_munmap, start, size);
    refusals = 3;
    errno = ENOMEM;
    return 1;
}

void *mmap(void *start, size_t size, int protection, int flags, int file, off_t offset)
{
    if (flags & MAP_FIXED && fails(start, size))
        return MAP_FAILED;
    if (flags & MAP_FIXED_NOREPLACE && refusals != 0) {
        refusals--;
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return (void *)syscall(SYS_mmap, start, size, protection, flags, file, offset);
}

void *mmap64(void *start, size_t size, int protection, int flags, int file, off_t offset)
    __attribute__((alias("mmap")));

void *mremap(void *start, size_t size, size_t new_size, int flags, ...)
{
    void *to = NULL;
    if (flags & MREMAP_FIXED) {
        va_list rest;
        va_start(rest, flags);
        to = va_arg(rest, void *);
        va_end(rest);
        if (fails(to, new_size))
            return MAP_FAILED;
    }
    return (void *)syscall(SYS_mremap, start, size, new_size, flags, to);
}
