/* Pieces: the reservations that windows lie in. Readers are signal handlers, so a piece is published by
 * counting it, and nothing of it changes or goes away afterwards. */
#include "fixed.h"
#include "windows/window.h"

#include <errno.h>
#include <sys/mman.h>

/* Pieces have 1,024 windows once there are many: far more than 47 bits of addresses hold. */
#define MAX_PIECES 512

static struct piece pieces[MAX_PIECES];
static _Atomic uint32_t piece_count;

static const struct piece *find_piece(uint64_t address) {
    uint32_t count = atomic_load_explicit(&piece_count, memory_order_acquire);
    for (uint32_t i = 0; i < count; i++) {
        if ((address - pieces[i].base) / TMEBOX_WINDOW_SIZE < pieces[i].count) {
            return &pieces[i];
        }
    }
    return NULL;
}

struct window *tmebox_find_window(uint64_t address, uint64_t *base) {
    const struct piece *piece = find_piece(address);
    if (piece == NULL) {
        return NULL;
    }
    uint64_t index = (address - piece->base) / TMEBOX_WINDOW_SIZE;
    *base = piece->base + index * TMEBOX_WINDOW_SIZE;
    return &piece->windows[index];
}

bool tmebox_unlock_piece(uint64_t address) {
    const struct piece *piece = find_piece(address);
    return piece != NULL && munlock(piece->start, piece->size_bytes) == 0;
}

/* One window more for alignment, and the guards before the first and after the last, which stack accesses and
 * wide accesses at the very end may touch. */
static size_t size_of_piece(uint64_t count) {
    return (count + 1) * TMEBOX_WINDOW_SIZE + TMEBOX_GUARD + TMEBOX_STACK_LOWEST;
}

/* A page was there once: then the kernel has a list of pages for all of the piece. Without one, parts that something else
 * is mapped between get lists of their own, and are never one mapping again. 0 or an errno. */
static int be_one(char *start) {
    int64_t done = tmebox_userfault_zero((uintptr_t)start, TMEBOX_PAGE_SIZE);
    if (done <= 0) {
        return (int)-done;
    }
    return madvise(start, TMEBOX_PAGE_SIZE, MADV_DONTNEED) == 0 ? 0 : errno;
}

/* MAP_FAILED with errno set. */
static char *map_piece(size_t size, bool userfault) {
    char *start = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED) {
        return start;
    }
    /* A core dump would look at every page there could be, for hours. */
    int error = tmebox_keep_to_process(start, size) ? 0 : errno;
    if (error == 0 && userfault) {
        error = tmebox_userfault_open_up(start, size, false);
        error = error != 0 ? error : be_one(start);
    }
    if (error != 0) {
        munmap(start, size);
        errno = error;
        return MAP_FAILED;
    }
    return start;
}

static PyObject *reserve_windows(PyObject *module, PyObject *args) {
    (void)module;
    unsigned long long count;
    int userfault;
    if (!PyArg_ParseTuple(args, "Kp:reserve_windows", &count, &userfault)) {
        return NULL;
    }
    if (count == 0 || count > 1ULL << 20) {
        PyErr_SetString(PyExc_ValueError, "an impossible number of windows");
        return NULL;
    }
    uint32_t used = piece_count;
    if (used == MAX_PIECES) {
        errno = ENOMEM;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    size_t size = count * sizeof(struct window); /* touched as the windows are used */
    struct window *windows = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (windows == MAP_FAILED) {
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    char *start = map_piece(size_of_piece(count), userfault);
    if (start == MAP_FAILED) {
        PyErr_SetFromErrno(PyExc_OSError);
        munmap(windows, size);
        return NULL;
    }
    uint64_t base = ((uintptr_t)start + TMEBOX_GUARD + TMEBOX_WINDOW_SIZE - 1) & -TMEBOX_WINDOW_SIZE;
    pieces[used] = (struct piece){base, count, windows, userfault, start, size_of_piece(count)};
    atomic_store_explicit(&piece_count, used + 1, memory_order_release);
    return PyLong_FromUnsignedLongLong(base);
}

bool tmebox_each_window(bool (*call)(struct window *window, uint64_t base, void *context), void *context) {
    uint32_t count = atomic_load_explicit(&piece_count, memory_order_acquire);
    bool good = true;
    for (uint32_t i = 0; i < count; i++) {
        for (uint64_t index = 0; pieces[i].userfault && index < pieces[i].count; index++) {
            struct window *window = &pieces[i].windows[index];
            if (window->template != NULL) {
                good &= call(window, pieces[i].base + index * TMEBOX_WINDOW_SIZE, context);
            }
        }
    }
    return good;
}

/* In a forked child. The kernel has put zeros in the place of what the windows hold, so that a NumPy array from before
 * the fork shows those. The child maps nothing there and unmaps nothing: other libraries ran before this, and what they
 * mapped may lie where views of heaps were. */
void tmebox_pieces_after_fork(void) {
    atomic_store(&piece_count, 0);
}

PyMethodDef tmebox_piece_methods[] = {
    {"reserve_windows", reserve_windows, METH_VARARGS,
     "reserve_windows(count, userfault) -> address\n\nOf the first; the others follow."},
    {NULL, NULL, 0, NULL},
};
