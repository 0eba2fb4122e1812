/* Which signals end or interrupt sandboxed code, and what all threads know of their handlers. */
#include "threads/signals.h"
#include "threads/thread.h"

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

/* -- SIGPIPE -------------------------------------------------------------------------------------------- */
/* sendfile() has no flag against it. Its handler is the host's, and may change at any time; but a signal that a call raises
 * is for the thread that made it, whose mask is in our hands while it is in a sandbox. */
static const uint64_t broken_pipe = 1ULL << (SIGPIPE - 1);

bool tmebox_quiet_pipes(struct thread *thread) {
    uint64_t before;
    if (thread->pipes_are_quiet) {
        return true;
    }
    if (syscall(SYS_rt_sigprocmask, SIG_BLOCK, &broken_pipe, &before, sizeof before) < 0) {
        return false;
    }
    thread->pipes_are_quiet = !(before & broken_pipe);
    return true;
}

void tmebox_take_broken_pipe(void) {
    static const struct timespec at_once;
    syscall(SYS_rt_sigtimedwait, &broken_pipe, NULL, &at_once, sizeof broken_pipe);
}

void tmebox_loud_pipes(struct thread *thread) {
    thread->pipes_are_quiet = false;
    syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, &broken_pipe, NULL, sizeof broken_pipe);
}
