/* Giving the memory of free pages back to the system. That takes the system most of a microsecond for each, so it is not done
 * under the heap's lock, and where there are two processors a thread does it while more blocks are moved. Runs that go back
 * are not free until they have. Who finds no free page waits for them, with the heap's lock, which they do not need. */
#include "heap/compact.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define AT_LEAST 16 /* pages that hold something: fewer are not worth a call, which looks at every view there is */
#define STACK (128 * 1024)
#define NAP_NS 20000

void tmebox_heap_begin_punch(struct heap *heap, struct heap_punch *self) {
    memset(self, 0, sizeof *self);
    self->heap = heap;
    heap->punch = self;
}

/* -- under the heap's lock ------------------------------------------------------------------------------ */
uint32_t tmebox_heap_give_runs(struct heap_punch *self, uint32_t from, uint32_t to) {
    struct heap *heap = self->heap;
    uint32_t given = atomic_load(&self->given), page = from, end;
    while (given - self->collected < HEAP_RUNS && (page = tmebox_heap_free_run(heap, page, to, &end)) < to) {
        uint32_t dirty = 0;
        for (uint32_t i = page; i < end; i++) {
            dirty += heap->pages[i].flags & PAGE_DIRTY;
        }
        if (dirty >= AT_LEAST) {
            tmebox_heap_take_run(heap, page, end - page);
            self->away += end - page;
            self->runs[given++ % HEAP_RUNS] = (struct heap_run){page, end - page, dirty, false};
        }
        page = end;
    }
    atomic_store(&self->given, given);
    return page;
}

void tmebox_heap_collect_runs(struct heap_punch *self) {
    for (uint32_t done = atomic_load(&self->done); self->collected != done; self->collected++) {
        const struct heap_run *run = &self->runs[self->collected % HEAP_RUNS];
        for (uint32_t i = run->page; run->back && i < run->page + run->count; i++) {
            self->heap->pages[i].flags &= (uint8_t)~PAGE_DIRTY;
        }
        self->pages += run->back ? run->dirty : 0; /* else they stay as they are */
        self->away -= run->count;
        tmebox_heap_return_pages(self->heap, run->page, run->count);
    }
}

bool tmebox_heap_await_runs(struct heap *heap) {
    struct heap_punch *self = heap->punch;
    if (self == NULL || self->away == 0) {
        return false;
    }
    for (unsigned tries = 0; atomic_load(&self->done) != atomic_load(&self->given); tries++) {
        if (tries < 64) {
            sched_yield();
        } else {
            nanosleep(&(struct timespec){0, NAP_NS}, NULL);
        }
    }
    tmebox_heap_collect_runs(self);
    return true;
}

/* -- without it, but on backends whose memory is not the process's own ---------------------------------- */
static bool give_back(struct heap *heap, uint32_t page, uint32_t count) {
    if (heap->backend->discard != NULL) {
        return heap->backend->discard(heap, page, count);
    }
    size_t size = (size_t)count * TMEBOX_PAGE_SIZE;
    return madvise(heap->host + (uint64_t)page * TMEBOX_PAGE_SIZE, size, MADV_REMOVE) == 0;
}

void tmebox_heap_punch_runs(struct heap_punch *self) {
    for (uint32_t done = atomic_load(&self->done); done != atomic_load(&self->given); done++) {
        struct heap_run *run = &self->runs[done % HEAP_RUNS];
        run->back = give_back(self->heap, run->page, run->count);
        atomic_store(&self->done, done + 1);
    }
}

/* -- in a thread ---------------------------------------------------------------------------------------- */
static void *help(void *given) {
    struct heap_punch *self = given;
    bool over = false;
    while (!over) {
        while (sem_wait(&self->wake) < 0) {
        }
        over = atomic_load(&self->over);
        tmebox_heap_punch_runs(self);
    }
    return NULL;
}

/* Those that this process may use, but the one that this thread is on: a scheduler may leave both there for long. */
static bool other_processors(cpu_set_t *set) {
    int here = sched_getcpu();
    if (here < 0 || here >= CPU_SETSIZE || sched_getaffinity(0, sizeof *set, set) < 0) {
        return false;
    }
    CPU_CLR(here, set);
    return CPU_COUNT(set) != 0;
}

void tmebox_heap_begin_help(struct heap_punch *self) {
    pthread_attr_t attributes;
    sigset_t all, before;
    cpu_set_t set;
    if (self->heap->backend->discard != NULL || !other_processors(&set) || sem_init(&self->wake, 0, 0) < 0) {
        return;
    }
    if (pthread_attr_init(&attributes) == 0) {
        pthread_attr_setstacksize(&attributes, STACK);
        pthread_attr_setaffinity_np(&attributes, sizeof set, &set);
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before); /* inherited: other people's handlers never run on it */
        self->helped = pthread_create(&self->thread, &attributes, help, self) == 0;
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        pthread_attr_destroy(&attributes);
    }
    if (!self->helped) {
        sem_destroy(&self->wake);
    }
}

void tmebox_heap_wake_help(struct heap_punch *self) {
    sem_post(&self->wake);
}

void tmebox_heap_end_help(struct heap_punch *self) {
    if (self->helped) {
        atomic_store(&self->over, true);
        sem_post(&self->wake);
        pthread_join(self->thread, NULL);
        sem_destroy(&self->wake);
        self->helped = false;
    }
}
