/* The userfaultfd: which pages of the windows are present, decided here and nowhere else.
 *
 * Programs close descriptors that are not theirs (daemons close all there are), and open files that get the
 * numbers. Whoever closed the last reference to this one would take all of its work back: every page of every
 * window would be there and writable, the control pages that sandboxes must not write among them. So a thread
 * with a descriptor table of its own, the keeper, has a reference out of everybody's reach; and what the number
 * in everybody's table cannot do any more, the keeper does. Before it is used, the number is looked at: it could
 * be another userfaultfd by now, of another process even. */
#include "newer.h"
#include "windows/window.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

/* What older headers lack. */
#ifndef UFFD_FEATURE_MINOR_SHMEM
#define UFFD_FEATURE_MINOR_SHMEM (1 << 10)
#endif
#ifndef UFFD_FEATURE_WP_HUGETLBFS_SHMEM
#define UFFD_FEATURE_WP_HUGETLBFS_SHMEM (1 << 12)
#endif
#ifndef UFFDIO_REGISTER_MODE_MINOR
#define UFFDIO_REGISTER_MODE_MINOR ((__u64)1 << 2)
#endif
#ifndef UFFDIO_CONTINUE
struct uffdio_continue {
    struct uffdio_range range;
    __u64 mode;
    __s64 mapped;
};
#define UFFDIO_CONTINUE _IOWR(UFFDIO, 0x07, struct uffdio_continue)
#endif
#ifndef UFFDIO_CONTINUE_MODE_DONTWAKE
#define UFFDIO_CONTINUE_MODE_DONTWAKE ((__u64)1 << 0)
#endif
#ifndef UFFDIO_CONTINUE_MODE_WP
#define UFFDIO_CONTINUE_MODE_WP ((__u64)1 << 1)
#endif

#define FEATURES (UFFD_FEATURE_SIGBUS | UFFD_FEATURE_PAGEFAULT_FLAG_WP)
#define SHARING_FEATURES (UFFD_FEATURE_MISSING_SHMEM | UFFD_FEATURE_MINOR_SHMEM | UFFD_FEATURE_WP_HUGETLBFS_SHMEM)
#define KEEPER_STACK (64 * 1024)

/* Where our number is out of the way of ranges that are closed, and of files that get the lowest one free. */
#define NUMBERS 1024
#define TOP_NUMBERS 32

static _Atomic int descriptor = -1; /* in everybody's table */
static struct stat identity;
static bool can_share;       /* the kernel has SHARING_FEATURES */
static bool inode_is_shared; /* by all files without a name: kernels before 5.12 */

/* -- whose number it is ------------------------------------------------------------------------------- */
static bool same_inode(const struct stat *one, const struct stat *other) {
    return one->st_ino == other->st_ino && one->st_dev == other->st_dev;
}

static bool is_some_userfaultfd(int number) {
    static const char name[] = "anon_inode:[userfaultfd]";
    char path[64], link[sizeof name];
    snprintf(path, sizeof path, "/proc/self/fd/%d", number);
    return readlink(path, link, sizeof link) == sizeof name - 1 && memcmp(link, name, sizeof name - 1) == 0;
}

static bool is_ours(int number) {
    struct stat present;
    return fstat(number, &present) == 0 && same_inode(&present, &identity) &&
           (!inode_is_shared || is_some_userfaultfd(number));
}

static bool shares_inode(void) {
    struct stat other;
    int event = eventfd(0, EFD_CLOEXEC);
    bool shares = event < 0 || fstat(event, &other) < 0 || same_inode(&other, &identity);
    close(event);
    return shares;
}

/* -- the keeper --------------------------------------------------------------------------------------- */
/* On the stack of who asks, who may be in a signal handler, on top of another one who asks: no locks. */
struct request {
    struct request *next;
    unsigned long code;
    void *argument;
    int error;
    _Atomic uint32_t done;
};

static _Atomic bool keeps;
static struct request *_Atomic requests;
static _Atomic uint32_t rings; /* of the keeper's bell */

static void futex_wait(_Atomic uint32_t *word, uint32_t value) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* 0 or an errno. Async-signal-safe. */
static int ask_keeper(unsigned long code, void *argument) {
    if (!atomic_load(&keeps)) {
        return EBADF;
    }
    uint32_t generation = tmebox_generation;
    struct request request = {atomic_load(&requests), code, argument, 0, 0};
    while (!atomic_compare_exchange_weak(&requests, &request.next, &request)) {
    }
    atomic_fetch_add(&rings, 1);
    futex_wake(&rings);
    while (atomic_load(&request.done) == 0) {
        if (tmebox_generation != generation) { /* a signal handler forked, and this is the child */
            return EBADF;
        }
        futex_wait(&request.done, 0);
    }
    return request.error;
}

static void serve(int kept, struct request *request) {
    while (request != NULL) {
        struct request *next = request->next; /* who asked is gone once it is done */
        _Atomic uint32_t *done = &request->done;
        request->error = ioctl(kept, request->code, request->argument) < 0 ? errno : 0;
        atomic_store(done, 1);
        futex_wake(done); /* at worst, somebody else's word: spurious wake-ups are expected by all */
        request = next;
    }
}

struct keeper {
    int descriptor;
    int error;
    sem_t ready;
};

/* close_range() with CLOSE_RANGE_UNSHARE gives the thread a table without the range; two calls leave it with
 * the one descriptor. */
static int own_table_with(int kept) {
    if (kept > 0 && syscall(SYS_close_range, 0U, (unsigned)kept - 1, CLOSE_RANGE_UNSHARE) < 0) {
        return errno;
    }
    return syscall(SYS_close_range, (unsigned)kept + 1, ~0U, CLOSE_RANGE_UNSHARE) < 0 ? errno : 0;
}

/* The handshake works once, and is made where nobody else can have the number: so it is the one just opened. */
static int open_and_keep(int *kept) {
    *kept = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
    if (*kept < 0) {
        return errno;
    }
    int error = own_table_with(*kept);
    struct uffdio_api api = {.api = UFFD_API, .features = FEATURES | SHARING_FEATURES};
    can_share = error == 0 && ioctl(*kept, UFFDIO_API, &api) == 0;
    api = (struct uffdio_api){.api = UFFD_API, .features = FEATURES};
    if (error == 0 && ((!can_share && ioctl(*kept, UFFDIO_API, &api) < 0) || fstat(*kept, &identity) < 0)) {
        error = errno;
    }
    return error;
}

static void *keep(void *argument) {
    struct keeper *keeper = argument;
    int kept, error = open_and_keep(&kept);
    keeper->descriptor = kept;
    keeper->error = error;
    atomic_fetch_add(&tmebox_own_threads, error == 0);
    sem_post(&keeper->ready); /* the keeper is gone from here on */
    while (error == 0) {
        uint32_t heard = atomic_load(&rings);
        struct request *waiting = atomic_exchange(&requests, NULL);
        if (waiting == NULL) {
            futex_wait(&rings, heard);
        }
        serve(kept, waiting);
    }
    return NULL;
}

/* 0, or an errno; either way, `opened` may be a number in everybody's table. */
static int start_keeper(int *opened) {
    struct keeper keeper = {.descriptor = -1};
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;
    *opened = -1;
    if (sem_init(&keeper.ready, 0, 0) < 0) {
        return errno;
    }
    int error = pthread_attr_init(&attributes);
    if (error != 0) {
        return error;
    }
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, KEEPER_STACK);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* inherited: other people's handlers never run on it */
    error = pthread_create(&thread, &attributes, keep, &keeper);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    if (error == 0) {
        while (sem_wait(&keeper.ready) < 0) {
        }
        error = keeper.error;
        *opened = keeper.descriptor;
    }
    sem_destroy(&keeper.ready);
    return error;
}

/* -- opening ------------------------------------------------------------------------------------------ */
static int move_up(int number) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) {
        return number;
    }
    rlim_t most = limit.rlim_cur < NUMBERS ? limit.rlim_cur : NUMBERS;
    int moved = most > 2 * TOP_NUMBERS ? fcntl(number, F_DUPFD_CLOEXEC, (int)most - TOP_NUMBERS) : -1;
    if (moved < 0) {
        return number;
    }
    if (is_ours(number)) {
        close(number);
    }
    return moved;
}

static int open_userfault(void) {
    int opened, error = start_keeper(&opened);
    if (error != 0) {
        if (opened >= 0 && is_some_userfaultfd(opened)) {
            close(opened);
        }
        return error;
    }
    inode_is_shared = shares_inode();
    atomic_store(&descriptor, move_up(opened));
    atomic_store(&keeps, true);
    return 0;
}

/* In a child. Its descriptor would still reach into the parent's memory; but another file may have that number. */
void tmebox_userfault_after_fork(void) {
    int inherited = atomic_exchange(&descriptor, -1);
    atomic_store(&keeps, false);
    atomic_store(&requests, NULL);
    if (inherited >= 0 && is_ours(inherited)) {
        close(inherited);
    }
}

static PyObject *userfault_open(PyObject *module, PyObject *unused) {
    (void)module, (void)unused;
    int error = atomic_load(&keeps) ? 0 : open_userfault();
    if (error != 0) {
        errno = error;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    Py_RETURN_NONE;
}

/* -- pages -------------------------------------------------------------------------------------------- */
/* 0 or an errno. By the number in everybody's table, which takes no time, unless it is not ours. */
static int ask(unsigned long code, void *argument) {
    int number = atomic_load(&descriptor);
    if (number < 0 || !is_ours(number)) {
        return ask_keeper(code, argument);
    }
    if (ioctl(number, code, argument) == 0) {
        return 0;
    }
    int error = errno;
    return is_ours(number) ? error : ask_keeper(code, argument);
}

/* If the number was another's at that moment, their faults would go there: so it is looked at again afterwards. The
 * keeper then finds the range taken, which is an error, and the caller maps something else there. */
int tmebox_userfault_register(void *start, size_t size_bytes, bool shared) {
    struct uffdio_register range = {
        .range = {(uintptr_t)start, size_bytes},
        .mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP | (shared ? UFFDIO_REGISTER_MODE_MINOR : 0),
    };
    int number = atomic_load(&descriptor);
    if (number >= 0 && is_ours(number) && ioctl(number, UFFDIO_REGISTER, &range) == 0 && is_ours(number)) {
        return 0;
    }
    return ask_keeper(UFFDIO_REGISTER, &range);
}

int tmebox_userfault_open_up(void *start, size_t size_bytes, bool shared) {
    int error = tmebox_userfault_register(start, size_bytes, shared);
    if (error != 0) {
        return error;
    }
    if (!shared) { /* a host that locks all of its memory would have it all there; a shared mapping is never filled so */
        munlock(start, size_bytes);
    }
    return mprotect(start, size_bytes, PROT_READ | PROT_WRITE) < 0 ? errno : 0;
}

/* Both give the number of bytes that are there now, from `address` on, or -errno. The kernel gives up, to be
 * asked again, when mappings change at that moment. What claims to have worked and did nothing was not ours. */
int64_t tmebox_userfault_copy(uint64_t address, const void *source, size_t size_bytes, bool read_only) {
    for (bool again = false;; again = true) {
        struct uffdio_copy copy = {
            .dst = address,
            .src = (uintptr_t)source,
            .len = size_bytes,
            .mode = read_only ? UFFDIO_COPY_MODE_WP : 0,
        };
        int error = again ? ask_keeper(UFFDIO_COPY, &copy) : ask(UFFDIO_COPY, &copy);
        if (copy.copy > 0) {
            return copy.copy;
        }
        if (error != EAGAIN && (error != 0 || again)) {
            return error != 0 ? -error : -EIO;
        }
    }
}

int64_t tmebox_userfault_zero(uint64_t address, size_t size_bytes) {
    for (bool again = false;; again = true) {
        struct uffdio_zeropage zero = {.range = {address, size_bytes}};
        int error = again ? ask_keeper(UFFDIO_ZEROPAGE, &zero) : ask(UFFDIO_ZEROPAGE, &zero);
        if (zero.zeropage > 0) {
            return zero.zeropage;
        }
        if (error != EAGAIN && (error != 0 || again)) {
            return error != 0 ? -error : -EIO;
        }
    }
}

bool tmebox_userfault_can_share(void) {
    return atomic_load(&keeps) && can_share;
}

int64_t tmebox_userfault_continue(uint64_t address, size_t size_bytes, bool read_only) {
    for (bool again = false;; again = true) {
        struct uffdio_continue more = {
            .range = {address, size_bytes},
            .mode = UFFDIO_CONTINUE_MODE_DONTWAKE | (read_only ? UFFDIO_CONTINUE_MODE_WP : 0), /* nobody waits */
        };
        int error = again ? ask_keeper(UFFDIO_CONTINUE, &more) : ask(UFFDIO_CONTINUE, &more);
        if (more.mapped > 0) {
            return more.mapped;
        }
        if (error != EAGAIN && (error != 0 || again)) {
            return error != 0 ? -error : -EIO;
        }
    }
}

void tmebox_userfault_unprotect(uint64_t address) {
    struct uffdio_writeprotect range = {.range = {address, TMEBOX_PAGE_SIZE}};
    ask(UFFDIO_WRITEPROTECT, &range);
}

void tmebox_userfault_protect(uint64_t address) {
    struct uffdio_writeprotect range = {.range = {address, TMEBOX_PAGE_SIZE}, .mode = UFFDIO_WRITEPROTECT_MODE_WP};
    while (ask(UFFDIO_WRITEPROTECT, &range) == EAGAIN) {
    }
}

PyMethodDef tmebox_userfault_methods[] = {
    {"userfault_open", userfault_open, METH_NOARGS,
     "userfault_open()\n\nMake the userfaultfd ready. Idempotent."},
    {NULL, NULL, 0, NULL},
};
