/* What sandboxed C can say to tmebox. Found with #include <tmebox.h>; needs no library. */
#ifndef TMEBOX_H
#define TMEBOX_H

/* A function that the host may call. As soon as a program marks one function, only marked ones are exported;
   a program that marks none exports every non-static function of its sources. */
#define TMEBOX_EXPORT __attribute__((visibility("protected"), used))

/* A function that the host provides. A program's undefined functions are an error unless they are marked so, or
   named with `tmebox cc --import NAME`; a file that defines the function does not import it. */
#define TMEBOX_IMPORT __attribute__((visibility("protected")))

/* -- collectors ---------------------------------------------------------------------------------------------
   A collector that looks for pointers on the stack finds in memory, from one of its own objects to an older one, all that
   has an address and a constant size. Kept registers are where no pointer leads, and arrays of variable size have a stack of
   their own. These two tell of them. Where all of that is in one stack, both answer 0. */

#ifdef __cplusplus
extern "C" {
#endif

#ifdef __tmebox_twin__
struct tmebox_stack_word {
    long failed;
    unsigned long word;
};
struct tmebox_stack_word tmebox_ask_for_stack_word(long call, const void *place) __asm__("__tmebox_syscall");
extern __thread void *__safestack_unsafe_stack_ptr __attribute__((__tls_model__("local-exec"), __weak__));
extern const char __tmebox_has_unsafe_stack __attribute__((__weak__));
#endif

/* Words that functions keep beside [from, from + 8 * count) of the running thread's stack, aligned to 8. They go to
   `to`. From the address of one of its own objects a function finds what it and its callers keep, if it has no array of
   variable size. Returns how many words: fewer than `count` at the stack's end. */
static inline __SIZE_TYPE__ tmebox_stack_words(void **to, const void *from, __SIZE_TYPE__ count)
{
    __SIZE_TYPE__ done = 0;
#ifdef __tmebox_twin__
    for (; done < count; done++) {
        struct tmebox_stack_word answer = tmebox_ask_for_stack_word(0x746d6511, (const char *)from + 8 * done);
        if (answer.failed)
            break;
        to[done] = (void *)answer.word;
    }
#else
    (void)to, (void)from, (void)count;
#endif
    return done;
}

/* Where the running thread's arrays of variable size begin, aligned to 8. What has been made since an earlier call lies
   between the two answers, the later one being lower. */
static inline void *tmebox_arrays(void)
{
#ifdef __tmebox_twin__
    if (&__tmebox_has_unsafe_stack)
        return __safestack_unsafe_stack_ptr;
#endif
    return (void *)0;
}

#ifdef __cplusplus
}
#endif

/* -- the shared heap ---------------------------------------------------------------------------------------
   Memory that other sandboxes of the same heap, and the host, can be given without a copy. It is owned in lines of
   64 bytes: whoever touches another's line is stopped. What fails gives NULL, 0 or -1 and sets errno: ENOSYS in a
   sandbox without a heap, EINVAL for what is no block of the caller's own, EPERM for a block that the host made and
   has to end, or a receiver that the host has not allowed, ENOMEM in a full heap, EDQUOT at a heap_limit. */

#ifdef __cplusplus
extern "C" {
#endif

long __tmebox_shared_heap(long call, unsigned long first, unsigned long second);
int *__errno_location(void);

static inline long tmebox_shared_result(long result)
{
    if (result >= 0)
        return result;
    *__errno_location() = (int)-result;
    return -1;
}

/* A zeroed block of at least so many bytes, aligned to 64; to a page from 4096 bytes on. */
static inline void *tmebox_shared_alloc(__SIZE_TYPE__ size)
{
    long offset = tmebox_shared_result(__tmebox_shared_heap(0, size, 0));
    return offset < 0 ? (void *)0 : (void *)offset;
}

/* Ends a block that sandboxed code made, and that is now the caller's. NULL is nothing to end. */
static inline int tmebox_shared_free(void *pointer)
{
    return (int)tmebox_shared_result(__tmebox_shared_heap(1, (unsigned long)pointer, 0));
}

/* The bytes that a block of the caller's own has, or 0. */
static inline __SIZE_TYPE__ tmebox_shared_size(const void *pointer)
{
    long size = tmebox_shared_result(__tmebox_shared_heap(2, (unsigned long)pointer, 0));
    return size < 0 ? 0 : (__SIZE_TYPE__)size;
}

/* Makes another sandbox the owner of a block, to which the host has allowed the caller to give any: see
   SharedHeap.allow. The bytes stay as they are; the caller cannot touch them any more. */
static inline int tmebox_shared_transfer(void *pointer, int key_id)
{
    return (int)tmebox_shared_result(__tmebox_shared_heap(3, (unsigned long)pointer, (unsigned long)key_id));
}

/* What the caller is called as an owner, or -1. */
static inline int tmebox_shared_key(void)
{
    return (int)tmebox_shared_result(__tmebox_shared_heap(4, 0, 0));
}

/* Handles name blocks that may be moved while nobody has pinned them, so that a sparse heap can be made dense.
   0 is no handle. */
typedef unsigned int tmebox_handle;

static inline tmebox_handle tmebox_shared_handle(__SIZE_TYPE__ size)
{
    long handle = tmebox_shared_result(__tmebox_shared_heap(5, size, 0));
    return handle < 0 ? 0 : (tmebox_handle)handle;
}

static inline int tmebox_shared_handle_free(tmebox_handle handle)
{
    return (int)tmebox_shared_result(__tmebox_shared_heap(6, handle, 0));
}

/* Where the block is, and stays until it was unpinned as often as it was pinned. */
static inline void *tmebox_shared_pin(tmebox_handle handle)
{
    long offset = tmebox_shared_result(__tmebox_shared_heap(7, handle, 0));
    return offset < 0 ? (void *)0 : (void *)offset;
}

static inline int tmebox_shared_unpin(tmebox_handle handle)
{
    return (int)tmebox_shared_result(__tmebox_shared_heap(8, handle, 0));
}

static inline int tmebox_shared_handle_transfer(tmebox_handle handle, int key_id)
{
    return (int)tmebox_shared_result(__tmebox_shared_heap(9, handle, (unsigned long)key_id));
}

#ifdef __cplusplus
}
#endif

#endif
