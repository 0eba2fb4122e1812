/* The userfaultfd: which pages of the windows are present, decided here and nowhere else.
 *
 * Whoever closes the descriptor takes all of its work back: every page of every window would be there and
 * writable, the control pages that sandboxes must not write among them. Programs do close descriptors that
 * are not theirs (daemons close all there are). So a thread with a descriptor table of its own keeps a second
 * reference, out of everybody's reach. */
#include "window.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif
#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE (1U << 1)
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif

#define FEATURES (UFFD_FEATURE_SIGBUS | UFFD_FEATURE_PAGEFAULT_FLAG_WP)
#define KEEPER_STACK (64 * 1024)

static _Atomic int descriptor = -1;

/* -- keeping it open ---------------------------------------------------------------------------------- */
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

static void *keep(void *argument) {
    struct keeper *keeper = argument;
    keeper->error = own_table_with(keeper->descriptor);
    bool keeps = keeper->error == 0;
    sem_post(&keeper->ready); /* the keeper is gone from here on */
    while (keeps) {
        pause();
    }
    return NULL;
}

/* 0, or an errno. */
static int start_keeper(int kept) {
    struct keeper keeper = {.descriptor = kept};
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;
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
    }
    sem_destroy(&keeper.ready);
    return error;
}

/* -- opening ------------------------------------------------------------------------------------------ */
static int open_userfault(void) {
    int opened = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
    if (opened < 0) {
        return -errno;
    }
    struct uffdio_api api = {.api = UFFD_API, .features = FEATURES};
    int error = ioctl(opened, UFFDIO_API, &api) < 0 ? errno : start_keeper(opened);
    if (error != 0) {
        close(opened);
        return -error;
    }
    return opened;
}

/* After a fork the descriptor would still reach into the parent's memory. */
void tmebox_userfault_after_fork(void) {
    int inherited = atomic_exchange(&descriptor, -1);
    if (inherited >= 0) {
        close(inherited);
    }
}

static PyObject *userfault_open(PyObject *module, PyObject *unused) {
    (void)module, (void)unused;
    if (descriptor < 0) {
        int opened = open_userfault();
        if (opened < 0) {
            errno = -opened;
            return PyErr_SetFromErrno(PyExc_OSError);
        }
        atomic_store(&descriptor, opened);
    }
    Py_RETURN_NONE;
}

/* -- pages -------------------------------------------------------------------------------------------- */
int tmebox_userfault_open_up(void *start, size_t size_bytes) {
    struct uffdio_register range = {
        .range = {(uintptr_t)start, size_bytes},
        .mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP,
    };
    if (ioctl(descriptor, UFFDIO_REGISTER, &range) < 0) {
        return errno;
    }
    munlock(start, size_bytes); /* a host that locks all of its memory would have it all there */
    return mprotect(start, size_bytes, PROT_READ | PROT_WRITE) < 0 ? errno : 0;
}

/* Both give the number of bytes that are there now, from `address` on, or -errno. The kernel gives up, to be
 * asked again, when mappings change at that moment. */
int64_t tmebox_userfault_copy(uint64_t address, const void *source, size_t size_bytes, bool read_only) {
    for (;;) {
        struct uffdio_copy copy = {
            .dst = address,
            .src = (uintptr_t)source,
            .len = size_bytes,
            .mode = read_only ? UFFDIO_COPY_MODE_WP : 0,
        };
        if (ioctl(descriptor, UFFDIO_COPY, &copy) == 0 || copy.copy > 0) {
            return copy.copy;
        }
        if (errno != EAGAIN) {
            return -errno;
        }
    }
}

int64_t tmebox_userfault_zero(uint64_t address, size_t size_bytes) {
    for (;;) {
        struct uffdio_zeropage zero = {.range = {address, size_bytes}};
        if (ioctl(descriptor, UFFDIO_ZEROPAGE, &zero) == 0 || zero.zeropage > 0) {
            return zero.zeropage;
        }
        if (errno != EAGAIN) {
            return -errno;
        }
    }
}

void tmebox_userfault_unprotect(uint64_t address) {
    struct uffdio_writeprotect range = {.range = {address, TMEBOX_PAGE_SIZE}};
    ioctl(descriptor, UFFDIO_WRITEPROTECT, &range);
}

PyMethodDef tmebox_userfault_methods[] = {
    {"userfault_open", userfault_open, METH_NOARGS,
     "userfault_open()\n\nMake the userfaultfd ready. Idempotent."},
    {NULL, NULL, 0, NULL},
};
