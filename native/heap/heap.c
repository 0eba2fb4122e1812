/* Making a heap, and ending it. Its memory is shared, but has no file that others could close: what needs it again
 * maps it from where it is mapped already. */
#include "heap/heap.h"
#include "fixed.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SHARED (MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE)
#define PRIVATE (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)

/* All there are, for a forked child. Under the lock. */
static struct heap *heaps;
static pthread_mutex_t heaps_lock = PTHREAD_MUTEX_INITIALIZER;

static size_t table_bytes(const struct heap *heap, size_t *places) {
    size_t pages = heap->page_count;
    const size_t sizes[] = {
        pages * sizeof *heap->pages,       pages * sizeof *heap->lines,
        pages * sizeof *heap->handle_at,   (pages + GROUP_PAGES - 1) / GROUP_PAGES * sizeof *heap->groups,
        HEAP_KEYS * sizeof *heap->keys,    HEAP_KEYS * sizeof *heap->free_keys,
        (pages + 63) / 64 * sizeof(uint64_t), (size_t)heap->most_handles * sizeof *heap->handles,
    };
    size_t all = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        places[i] = all;
        all += (sizes[i] + TMEBOX_PAGE_SIZE - 1) / TMEBOX_PAGE_SIZE * TMEBOX_PAGE_SIZE;
    }
    return all;
}

/* Touched as they are used. */
static bool map_tables(struct heap *heap) {
    size_t places[8];
    heap->whole_bytes = table_bytes(heap, places);
    unsigned char *all = mmap(NULL, heap->whole_bytes, PROT_READ | PROT_WRITE, PRIVATE, -1, 0);
    if (all == MAP_FAILED) {
        heap->whole = NULL;
        return false;
    }
    madvise(all, heap->whole_bytes, MADV_NOHUGEPAGE); /* sparse */
    heap->whole = all;
    heap->pages = (void *)(all + places[0]);
    heap->lines = (void *)(all + places[1]);
    heap->handle_at = (void *)(all + places[2]);
    heap->groups = (void *)(all + places[3]);
    heap->keys = (void *)(all + places[4]);
    heap->free_keys = (void *)(all + places[5]);
    heap->free_map = (void *)(all + places[6]);
    heap->handles = (void *)(all + places[7]);
    return true;
}

static enum placed map_host_at(unsigned char *host, size_t size, int device) {
    if (device >= 0) {
        return tmebox_map_device_over(host, size, device, 0);
    }
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, SHARED, -1, 0);
    return memory != MAP_FAILED ? tmebox_move_over(memory, host, size) : AS_BEFORE;
}

bool tmebox_heap_map_host(struct heap *heap, int device) {
    unsigned char *all = mmap(NULL, heap->size_bytes + 2 * HOST_GUARD, PROT_NONE, PRIVATE, -1, 0);
    if (all == MAP_FAILED) {
        return false;
    }
    if (map_host_at(all + HOST_GUARD, heap->size_bytes, device) != PLACED) {
        int error = errno;
        munmap(all, heap->size_bytes + 2 * HOST_GUARD); /* nobody else's is in between */
        errno = error;
        return false;
    }
    heap->host = all + HOST_GUARD;
    return true;
}

static bool map_memory(struct heap *heap) {
    if (!tmebox_heap_map_host(heap, -1)) {
        return false;
    }
    unsigned char *host = heap->host, *source = mremap(host, 0, heap->size_bytes, MREMAP_MAYMOVE);
    if (source == MAP_FAILED) {
        return false;
    }
    heap->source = source;
    munlock(source, heap->size_bytes); /* views are as it is: pages of what is locked cannot be taken away at once */
    return mprotect(source, heap->size_bytes, PROT_NONE) == 0 &&
           madvise(source, heap->size_bytes, MADV_DONTFORK) == 0 &&
           madvise(host, heap->size_bytes, MADV_DONTFORK) == 0 &&
           madvise(source, heap->size_bytes, MADV_DONTDUMP) == 0;
}

static void fill_tables(struct heap *heap) {
    for (uint32_t page = 0; page < heap->page_count; page++) {
        heap->free_map[page / 64] |= 1ULL << page % 64;
    }
    heap->free_pages = heap->page_count;
    struct heap_key *host = &heap->keys[HEAP_HOST];
    host->state = KEY_SANDBOX;
    host->partial = host->full = host->runs = host->spare = HEAP_NOWHERE;
    host->limit = UINT64_MAX;
    heap->dense_partial = heap->dense_full = HEAP_NOWHERE;
    heap->key_limit = HEAP_KEYS;
    heap->key_end = HEAP_HOST + 1;
}

static void destroy(struct heap *heap) {
    if (heap->backend->end != NULL) {
        heap->backend->end(heap);
    }
    if (heap->host != NULL) {
        munmap(heap->host - HOST_GUARD, heap->size_bytes + 2 * HOST_GUARD);
    }
    if (heap->source != NULL) {
        munmap(heap->source, heap->size_bytes);
    }
    if (heap->whole != NULL) {
        munmap(heap->whole, heap->whole_bytes);
    }
    tmebox_heap_end_encryption(heap);
    free(heap);
}

struct heap *tmebox_heap_new(size_t size_bytes, bool dense, const struct heap_backend *backend, int device) {
    struct heap *heap = calloc(1, sizeof *heap);
    if (heap == NULL) {
        return NULL;
    }
    heap->references = 1;
    heap->generation = tmebox_generation;
    heap->size_bytes = size_bytes;
    heap->page_count = (uint32_t)(size_bytes / TMEBOX_PAGE_SIZE);
    uint64_t handles = (uint64_t)heap->page_count * LINES, most = 1ULL << HEAP_HANDLE_BITS;
    heap->most_handles = (uint32_t)(handles < most ? handles : most);
    heap->dense = dense;
    heap->backend = backend;
    if (!map_tables(heap) || !(backend->begin != NULL ? backend->begin(heap, device) : map_memory(heap))) {
        int error = errno;
        destroy(heap);
        errno = error;
        return NULL;
    }
    fill_tables(heap);
    pthread_mutex_lock(&heaps_lock);
    heap->next = heaps;
    heaps = heap;
    pthread_mutex_unlock(&heaps_lock);
    return heap;
}

void tmebox_heap_hold(struct heap *heap) {
    atomic_fetch_add(&heap->references, 1);
}

void tmebox_heap_let_go(struct heap *heap) {
    if (atomic_fetch_sub(&heap->references, 1) != 1) {
        return;
    }
    pthread_mutex_lock(&heaps_lock);
    for (struct heap **link = &heaps; *link != NULL; link = &(*link)->next) {
        if (*link == heap) {
            *link = heap->next;
            break;
        }
    }
    pthread_mutex_unlock(&heaps_lock);
    for (uint32_t key = 1; key < heap->key_end && heap->generation == tmebox_generation; key++) {
        free(heap->keys[key].permits);
        free(heap->keys[key].domain);
    }
    destroy(heap);
}

/* In a child, which has not got their memory: zeros take its place, for arrays that look there. What other libraries' code
 * mapped there since the fork stays, and then nothing of the place is ever unmapped. */
void tmebox_heaps_after_fork(void) {
    pthread_mutex_init(&heaps_lock, NULL); /* another thread may have had it, for a moment between two links */
    for (struct heap *heap = heaps; heap != NULL; heap = heap->next) {
        heap->source = NULL;
        heap->host = tmebox_fill(heap->host, heap->size_bytes) ? heap->host : NULL;
    }
    heaps = NULL;
}
