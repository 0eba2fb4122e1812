/* Which signals end or interrupt sandboxed code, and what all threads know of their handlers. */
#include "threads/signals.h"
#include "threads/thread.h"

#include <errno.h>
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
/* Writing to pipes, and sendfile(), have no flag against it. Its handler is the host's, and may change at any time; but a
 * signal that a call raises is for the thread that made it. The call may have moved something nevertheless: nothing but what
 * is pending tells of the signal. */
static const uint64_t broken_pipe = 1ULL << (SIGPIPE - 1);

enum pipes tmebox_block_broken_pipe(void) {
    uint64_t before, pending = 0;
    if (syscall(SYS_rt_sigprocmask, SIG_BLOCK, &broken_pipe, &before, sizeof before) < 0) {
        return PIPES_LOUD;
    }
    if (!(before & broken_pipe)) {
        return PIPES_QUIETED;
    }
    syscall(SYS_rt_sigpending, &pending, sizeof pending);
    return pending & broken_pipe ? PIPES_PENDING : PIPES_QUIET;
}

/* Others may have sent one meanwhile, which is the host's. */
static void take_broken_pipe(void) {
    static const struct timespec at_once;
    siginfo_t from;
    int error = errno;
    if (syscall(SYS_rt_sigtimedwait, &broken_pipe, &from, &at_once, sizeof broken_pipe) == SIGPIPE &&
        (from.si_code != SI_USER || from.si_pid != getpid())) {
        kill(getpid(), SIGPIPE);
    }
    errno = error;
}

void tmebox_unblock_broken_pipe(enum pipes pipes) {
    if (pipes != PIPES_PENDING) {
        take_broken_pipe();
    }
    if (pipes == PIPES_QUIETED) {
        syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, &broken_pipe, NULL, sizeof broken_pipe);
    }
}

bool tmebox_quiet_pipes(struct thread *thread) {
    if (thread->pipes == PIPES_LOUD) {
        thread->pipes = tmebox_block_broken_pipe();
    }
    return thread->pipes != PIPES_LOUD;
}

void tmebox_loud_pipes(struct thread *thread) {
    enum pipes pipes = thread->pipes;
    thread->pipes = PIPES_LOUD;
    tmebox_unblock_broken_pipe(pipes);
}
