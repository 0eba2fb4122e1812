/* A machine between threads. Of a heap's machine, fault handlers of sandboxes' threads load and store lines without the GIL,
 * while Python code changes keys. Handlers are at lines of their own, so they share the machine. */
#include "tme/machine.h"

#include "moments.h"

#include <errno.h>

#define ALONE (1U << 31) /* one has it, or waits until those who share it are gone */

void tmebox_tme_share(struct tme_machine *machine) {
    int error = errno;
    for (unsigned tries = 0;; tries++) {
        uint32_t users = atomic_load_explicit(&machine->users, memory_order_relaxed);
        if ((users & ALONE) == 0 && atomic_compare_exchange_weak_explicit(&machine->users, &users, users + 1,
                                                                           memory_order_acquire, memory_order_relaxed)) {
            break;
        }
        tmebox_wait_a_moment(tries);
    }
    errno = error;
}

void tmebox_tme_unshare(struct tme_machine *machine) {
    atomic_fetch_sub_explicit(&machine->users, 1, memory_order_release);
}

/* Those that come later wait: handlers that never stop coming cannot keep it from being changed. */
void tmebox_tme_lock(struct tme_machine *machine) {
    int error = errno;
    for (unsigned tries = 0; atomic_fetch_or_explicit(&machine->users, ALONE, memory_order_acquire) & ALONE; tries++) {
        tmebox_wait_a_moment(tries);
    }
    for (unsigned tries = 0; atomic_load_explicit(&machine->users, memory_order_acquire) != ALONE; tries++) {
        tmebox_wait_a_moment(tries);
    }
    errno = error;
}

void tmebox_tme_unlock(struct tme_machine *machine) {
    atomic_fetch_and_explicit(&machine->users, ~ALONE, memory_order_release);
}

void tmebox_tme_unlock_after_fork(struct tme_machine *machine) {
    atomic_store_explicit(&machine->users, 0, memory_order_relaxed);
}
