/* Which signals end or interrupt sandboxed code, and what all threads know of their handlers. */
#include "threads/signals.h"

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
