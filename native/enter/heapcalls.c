/* What sandboxed code asks of the shared heap: host calls that need no Python, and so no GIL. All arguments are
 * untrusted: a pointer counts only if a block of the caller starts there. */
#include "enter/enter.h"
#include "heap/heap.h"

#include <errno.h>

typedef int64_t answer(struct heap *heap, uint16_t key, uint64_t first, uint64_t second);

static int64_t offset_of(uint32_t start) {
    return (int64_t)(TMEBOX_SHARED_START + (uint64_t)start * LINE);
}

/* The caller's block that starts there, or HEAP_NOWHERE: it is no secret which lines are not the caller's. */
static uint32_t block_at(const struct heap *heap, uint16_t key, uint64_t offset) {
    uint64_t place = offset - TMEBOX_SHARED_START;
    uint32_t start = (uint32_t)(place / LINE);
    bool own = place < heap->size_bytes && place % LINE == 0 && tmebox_heap_block_lines(heap, start) != 0 &&
               tmebox_heap_block_owner(heap, start) == key;
    return own ? start : HEAP_NOWHERE;
}

/* The same for what a handle names. */
static struct heap_handle *handle_of(const struct heap *heap, uint16_t key, uint64_t name) {
    struct heap_handle *handle = name <= UINT32_MAX ? tmebox_heap_handle(heap, (uint32_t)name) : NULL;
    return handle != NULL && tmebox_heap_block_owner(heap, handle->start) == key ? handle : NULL;
}

static int64_t allocate(struct heap *heap, uint16_t key, uint64_t size, uint64_t unused) {
    (void)unused;
    uint32_t start = tmebox_heap_allocate(heap, size, key, BLOCK_GUEST | (heap->dense ? BLOCK_DENSE : 0));
    return start != HEAP_NOWHERE ? offset_of(start) : -errno;
}

static int64_t end(struct heap *heap, uint32_t start) {
    if (start == HEAP_NOWHERE) {
        return -EINVAL;
    }
    if (!tmebox_heap_made_by_guest(heap, start)) {
        return -EPERM; /* who made it ends it */
    }
    tmebox_heap_drop_handle(heap, start);
    tmebox_heap_free(heap, start);
    return 0;
}

static int64_t release(struct heap *heap, uint16_t key, uint64_t pointer, uint64_t unused) {
    (void)unused;
    return pointer == 0 ? 0 : end(heap, block_at(heap, key, pointer));
}

static int64_t size(struct heap *heap, uint16_t key, uint64_t pointer, uint64_t unused) {
    (void)unused;
    uint32_t start = block_at(heap, key, pointer);
    return start != HEAP_NOWHERE ? (int64_t)(tmebox_heap_block_lines(heap, start) * LINE) : -EINVAL;
}

static int64_t give(struct heap *heap, uint16_t key, uint32_t start, uint64_t to) {
    if (start == HEAP_NOWHERE) {
        return -EINVAL;
    }
    if (to != key && (to == HEAP_HOST || to >= HEAP_KEYS || !tmebox_heap_is_permitted(heap, key, (uint16_t)to))) {
        return -EPERM;
    }
    return -tmebox_heap_transfer(heap, start, (uint16_t)to);
}

static int64_t transfer(struct heap *heap, uint16_t key, uint64_t pointer, uint64_t to) {
    return give(heap, key, block_at(heap, key, pointer), to);
}

static int64_t own_key(struct heap *heap, uint16_t key, uint64_t unused, uint64_t neither) {
    (void)heap, (void)unused, (void)neither;
    return key;
}

/* -- handles -------------------------------------------------------------------------------------------- */
static int64_t handle_allocate(struct heap *heap, uint16_t key, uint64_t size_bytes, uint64_t unused) {
    (void)unused;
    uint32_t start = tmebox_heap_allocate(heap, size_bytes, key, BLOCK_GUEST | BLOCK_DENSE | BLOCK_MOVABLE);
    if (start == HEAP_NOWHERE) {
        return -errno;
    }
    uint32_t name = tmebox_heap_make_handle(heap, start);
    if (name == 0) {
        tmebox_heap_free(heap, start);
        return -ENOMEM;
    }
    return name;
}

static int64_t handle_release(struct heap *heap, uint16_t key, uint64_t name, uint64_t unused) {
    (void)unused;
    const struct heap_handle *handle = handle_of(heap, key, name);
    return name == 0 ? 0 : end(heap, handle != NULL ? handle->start : HEAP_NOWHERE);
}

static int64_t pin(struct heap *heap, uint16_t key, uint64_t name, uint64_t unused) {
    (void)unused;
    struct heap_handle *handle = handle_of(heap, key, name);
    return handle != NULL ? offset_of(tmebox_heap_pin(heap, handle)) : -EINVAL;
}

static int64_t unpin(struct heap *heap, uint16_t key, uint64_t name, uint64_t unused) {
    (void)unused;
    struct heap_handle *handle = handle_of(heap, key, name);
    if (handle == NULL || handle->pins == 0) {
        return -EINVAL;
    }
    handle->pins--;
    return 0;
}

static int64_t handle_transfer(struct heap *heap, uint16_t key, uint64_t name, uint64_t to) {
    const struct heap_handle *handle = handle_of(heap, key, name);
    return give(heap, key, handle != NULL ? handle->start : HEAP_NOWHERE, to);
}

static answer *const answers[] = {
    [TMEBOX_SHARED_CALL_ALLOC] = allocate,
    [TMEBOX_SHARED_CALL_FREE] = release,
    [TMEBOX_SHARED_CALL_SIZE] = size,
    [TMEBOX_SHARED_CALL_TRANSFER] = transfer,
    [TMEBOX_SHARED_CALL_KEY] = own_key,
    [TMEBOX_SHARED_CALL_HANDLE_ALLOC] = handle_allocate,
    [TMEBOX_SHARED_CALL_HANDLE_FREE] = handle_release,
    [TMEBOX_SHARED_CALL_PIN] = pin,
    [TMEBOX_SHARED_CALL_UNPIN] = unpin,
    [TMEBOX_SHARED_CALL_HANDLE_TRANSFER] = handle_transfer,
};

int64_t tmebox_shared_heap_call(struct activation *activation) {
    struct heap *heap = activation->instance->heap;
    uint16_t key = activation->instance->key;
    uint32_t serial = activation->instance->key_serial;
    uint64_t call = activation->integers[0];
    if (key == 0 || call >= sizeof answers / sizeof *answers) {
        return -ENOSYS;
    }
    tmebox_heap_lock(&heap->lock);
    tmebox_heap_bury(heap);
    int64_t result = heap->closed || !tmebox_heap_has_key(heap, key, serial)
                         ? -ENOSYS
                         : answers[call](heap, key, activation->integers[1], activation->integers[2]);
    tmebox_heap_unlock(&heap->lock);
    return result;
}
