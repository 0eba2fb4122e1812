/* The forms that are known, their stubs, and how they are found.
 *
 * A table of sets: a form is in the set that its bytes hash to, in one of a few ways, and its stub is where its number
 * says. So there are never more than SIDE_FORMS, whatever hostile code does; it only makes others come and go. No
 * instruction's bytes begin with another's, so they tell which it is. In front of it is a cache by address. Its entries
 * hold as long as neither a text nor a form has gone since the bytes were compared.
 *
 * A form that is being executed is not replaced. Who finds one counts itself first and looks then; who replaces one
 * needs the count to be zero, and hides it in the same step. */
#include "enter/side.h"
#include "threads/signals.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

int (*tmebox_make_side_form)(uint64_t instruction_address);

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U
#endif

#define WAYS 8
#define SETS (SIDE_FORMS / WAYS)
#define STUB_SIZE 16
#define STUBS_SIZE ((size_t)SIDE_FORMS * STUB_SIZE)
#define CACHE 16384
#define SIDE_ALIVE (1U << 31)
#define BREAKPOINT 0xcc
#define RETURN 0xc3

static_assert(STUB_SIZE > SIDE_LONGEST, "an instruction and `ret`");
static_assert(SIDE_FORMS <= 1 << 16, "a form's number in an entry of the cache");

static struct side_form forms[SIDE_FORMS];
static _Atomic uint64_t forms_gone;

/* Of the cache. Written by one at a time, read while it is not: whoever finds `turn` odd, or changed, does without. */
struct hint {
    _Atomic uint32_t turn, address, number; /* of the instruction, which is below 4 GiB; of its form */
    _Atomic uint64_t epoch;                 /* when the bytes there were the form's */
};

static struct hint cache[CACHE];
static uint8_t *writable, *_Atomic executable; /* the same memory twice; NULL: not made yet */
static struct side_counts counts;
static uint32_t next_way;

/* -- stubs -------------------------------------------------------------------------------------------- */
static int map_stubs(void) {
    int file = (int)syscall(SYS_memfd_create, "tmebox stubs", MFD_CLOEXEC | MFD_NOEXEC_SEAL);
    if (file < 0) { /* a kernel that does not know the flag */
        file = (int)syscall(SYS_memfd_create, "tmebox stubs", MFD_CLOEXEC);
    }
    if (file < 0) {
        return errno;
    }
    void *to_write = MAP_FAILED, *to_execute = MAP_FAILED;
    int error = ftruncate(file, (off_t)STUBS_SIZE) < 0 ? errno : 0;
    if (error == 0) {
        to_write = mmap(NULL, STUBS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        to_execute = mmap(NULL, STUBS_SIZE, PROT_READ | PROT_EXEC, MAP_SHARED, file, 0);
        error = to_write == MAP_FAILED || to_execute == MAP_FAILED ? errno : 0;
    }
    close(file);
    /* A child has the memory in common with its parent, but not the table: it makes its own. */
    if (error == 0 && (madvise(to_write, STUBS_SIZE, MADV_DONTFORK) < 0 ||
                       madvise(to_execute, STUBS_SIZE, MADV_DONTFORK) < 0)) {
        error = errno;
    }
    if (error == 0 && (uint64_t)(uintptr_t)to_execute < TMEBOX_TARGET_MAP_END) { /* branches of sandboxes reach there */
        error = EADDRNOTAVAIL;
    }
    if (error != 0) {
        if (to_write != MAP_FAILED) {
            munmap(to_write, STUBS_SIZE);
        }
        if (to_execute != MAP_FAILED) {
            munmap(to_execute, STUBS_SIZE);
        }
        return error;
    }
    memset(to_write, BREAKPOINT, STUBS_SIZE);
    syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0);
    writable = to_write;
    atomic_store(&executable, to_execute);
    return 0;
}

static size_t number_of(const struct side_form *form) {
    return (size_t)(form - forms);
}

const void *tmebox_side_stub(const struct side_form *form) {
    return atomic_load_explicit(&executable, memory_order_relaxed) + number_of(form) * STUB_SIZE;
}

bool tmebox_side_in_stub(uint64_t address) {
    uint64_t start = (uint64_t)(uintptr_t)atomic_load_explicit(&executable, memory_order_relaxed);
    return start != 0 && address - start < STUBS_SIZE;
}

/* -- finding ------------------------------------------------------------------------------------------ */
#define HASH_START 0x811c9dc5U

/* FNV-1a, so that the hashes of all beginnings of some bytes cost no more than that of the longest. */
static uint32_t hash_on(uint32_t hash, uint8_t byte) {
    return (hash ^ byte) * 0x01000193U;
}

static struct side_form *set_of(uint32_t hash) {
    return &forms[(hash ^ hash >> 15) % SETS * WAYS];
}

/* Another number whenever a text or a form has gone. Starts at 1: 0 is in no entry that was ever written. */
static uint64_t epoch_now(void) {
    return 1 + atomic_load(&tmebox_texts_gone) + atomic_load(&forms_gone);
}

static struct hint *hint_of(uint64_t address) {
    return &cache[(address ^ address >> 14) % CACHE];
}

static void remember(uint64_t address, const struct side_form *form, uint64_t epoch) {
    struct hint *hint = hint_of(address);
    uint32_t turn = atomic_load_explicit(&hint->turn, memory_order_relaxed);
    if ((turn & 1) || !atomic_compare_exchange_strong(&hint->turn, &turn, turn + 1)) {
        return;
    }
    atomic_store(&hint->address, (uint32_t)address);
    atomic_store(&hint->number, (uint32_t)number_of(form));
    atomic_store(&hint->epoch, epoch);
    atomic_store(&hint->turn, turn + 2);
}

/* The form whose bytes are at the address, for sure, or NULL. Reads no text: that could fault. */
static struct side_form *remembered(uint64_t address) {
    const struct hint *hint = hint_of(address);
    uint32_t turn = atomic_load(&hint->turn), number = atomic_load(&hint->number);
    bool same = atomic_load(&hint->address) == (uint32_t)address;
    uint64_t epoch = atomic_load(&hint->epoch);
    if ((turn & 1) || !same || epoch != epoch_now() || atomic_load(&hint->turn) != turn) {
        return NULL;
    }
    struct side_form *form = &forms[number % SIDE_FORMS];
    if ((atomic_fetch_add(&form->users, 1) & SIDE_ALIVE) && epoch == epoch_now()) { /* it stays from now on */
        return form;
    }
    tmebox_side_release(form);
    return NULL;
}

/* Counts the caller among its users, if it is the form of these bytes. */
static bool acquire(struct side_form *form, const uint8_t *bytes, size_t length) {
    if (!(atomic_load_explicit(&form->users, memory_order_relaxed) & SIDE_ALIVE)) {
        return false;
    }
    bool alive = atomic_fetch_add(&form->users, 1) & SIDE_ALIVE;
    size_t whole = form->shape.length;
    if (alive && whole != 0 && whole <= length && memcmp(form->shape.encoding, bytes, whole) == 0) {
        return true;
    }
    tmebox_side_release(form);
    return false;
}

void tmebox_side_release(struct side_form *form) {
    atomic_fetch_sub(&form->users, 1);
}

size_t tmebox_side_read(uint64_t address, uint8_t bytes[SIDE_LONGEST]) {
    size_t first = TMEBOX_PAGE_SIZE - address % TMEBOX_PAGE_SIZE;
    first = first < SIDE_LONGEST ? first : SIDE_LONGEST;
    /* The text may go at any time, and what is behind it may be nothing. */
    if (tmebox_window_copy(bytes, (const void *)address, first).how != 0) {
        return 0;
    }
    size_t rest = SIDE_LONGEST - first;
    bool more = rest != 0 && tmebox_window_copy(bytes + first, (const void *)(address + first), rest).how == 0;
    return more ? SIDE_LONGEST : first;
}

/* Of the instruction that the bytes begin with. */
static struct side_form *find_by_bytes(const uint8_t *bytes, size_t length) {
    uint32_t hash = HASH_START;
    for (size_t i = 0; i < length; i++) {
        hash = hash_on(hash, bytes[i]);
        struct side_form *set = set_of(hash);
        for (size_t way = 0; way < WAYS; way++) {
            if (set[way].shape.length == i + 1 && acquire(&set[way], bytes, length)) {
                return &set[way];
            }
        }
    }
    return NULL;
}

struct side_form *tmebox_side_find(uint64_t address) {
    uint8_t bytes[SIDE_LONGEST];
    struct side_form *form = remembered(address);
    if (form != NULL) {
        return form;
    }
    tmebox_let_faults_in();
    uint64_t epoch = epoch_now(); /* before looking */
    size_t length = atomic_load_explicit(&executable, memory_order_acquire) != NULL ? tmebox_side_read(address, bytes) : 0;
    form = length != 0 ? find_by_bytes(bytes, length) : NULL;
    if (form != NULL) {
        remember(address, form, epoch);
    }
    return form;
}

/* -- publishing --------------------------------------------------------------------------------------- */
static struct side_form *set_for(const struct side_shape *shape) {
    uint32_t hash = HASH_START;
    for (size_t i = 0; i < shape->length; i++) {
        hash = hash_on(hash, shape->encoding[i]);
    }
    return set_of(hash);
}

/* A free place of the set, or one whose form nobody executes and nobody finds from now on; else NULL. */
static struct side_form *make_room(struct side_form *set) {
    for (size_t way = 0; way < WAYS; way++) {
        if (set[way].shape.length == 0) {
            return &set[way];
        }
    }
    for (size_t i = 0; i < WAYS; i++) {
        struct side_form *form = &set[next_way++ % WAYS];
        uint32_t nobody = SIDE_ALIVE;
        if (atomic_compare_exchange_strong(&form->users, &nobody, 0)) {
            atomic_fetch_add(&forms_gone, 1);
            counts.evicted++;
            counts.kept--;
            return form;
        }
    }
    return NULL;
}

int tmebox_side_prepare(void) {
    return writable == NULL ? map_stubs() : 0;
}

int tmebox_side_publish(const struct side_shape *shape) {
    int error = tmebox_side_prepare();
    if (error != 0) {
        return error;
    }
    struct side_form *set = set_for(shape);
    for (size_t way = 0; way < WAYS; way++) { /* two threads may have wanted it */
        if (acquire(&set[way], shape->encoding, shape->length)) {
            tmebox_side_release(&set[way]);
            return 0;
        }
    }
    struct side_form *form = make_room(set);
    if (form == NULL) {
        return EAGAIN;
    }
    uint8_t stub[STUB_SIZE];
    memset(stub, BREAKPOINT, sizeof stub);
    memcpy(stub, shape->stub, shape->stub_length);
    stub[shape->stub_length] = RETURN;
    memcpy(writable + number_of(form) * STUB_SIZE, stub, sizeof stub);
    form->shape = *shape;
    /* A core that still had the place's last stub begins afresh before it can find the new one. */
    syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0);
    atomic_fetch_or(&form->users, SIDE_ALIVE);
    counts.published++;
    counts.kept++;
    return 0;
}

struct side_counts tmebox_side_count(void) {
    return counts;
}

/* The stubs' memory stayed with the parent, and so did all users. */
static void after_fork_in_child(void) {
    writable = NULL;
    atomic_store(&executable, NULL);
    atomic_fetch_add(&forms_gone, 1);
    for (size_t i = 0; i < SIDE_FORMS && counts.kept != 0; i++) {
        if (forms[i].shape.length != 0) {
            memset(&forms[i], 0, sizeof forms[i]);
        }
    }
    counts = (struct side_counts){0, 0, 0};
}

int tmebox_side_init(void) {
    return pthread_atfork(NULL, NULL, after_fork_in_child);
}
