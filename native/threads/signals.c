/* Which signals end or interrupt sandboxed code, and what all threads know of their handlers. */
#include "threads/signals.h"

#include <sys/syscall.h>
#include <unistd.h>

const int tmebox_fatal_signals[FATAL_COUNT] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
int tmebox_interrupt_signal;
_Atomic int tmebox_handlers = HANDLERS_ABSENT;
_Atomic bool tmebox_poll_requested;
const struct signal_actions *tmebox_signal_actions;

void tmebox_needed_signals(sigset_t *set) {
    sigemptyset(set);
    for (size_t i = 0; i < FATAL_COUNT; i++) {
        sigaddset(set, tmebox_fatal_signals[i]);
    }
    if (tmebox_interrupt_signal != 0) {
        sigaddset(set, tmebox_interrupt_signal);
    }
}

/* The kernel's sets have 8 bytes: the C library's would be filled in at each fault. */
void tmebox_let_faults_in(void) {
    uint64_t faults = 0;
    for (size_t i = 0; i < FATAL_COUNT; i++) {
        faults |= 1ULL << (tmebox_fatal_signals[i] - 1);
    }
    syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, &faults, NULL, sizeof faults);
}
