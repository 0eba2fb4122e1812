/* Leaving sandboxed code for a moment at any instruction: to look at Python's signals, to let go of the GIL, and to have
 * made what executing an instruction on the side needs. */
#include "enter/enter.h"
#include "enter/side.h"
#include "threads/signals.h"

#include <signal.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

int tmebox_poll(struct activation *activation, void *moved);

/* The thread goes on with its signals as they are by now. Python's handlers are none to the kernel: what they change of the
 * mask stays, and an alternate stack that they replaced may be gone. */
static void keep_signals(struct thread *thread, ucontext_t *moved) {
    tmebox_open_signals(thread);
    syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &moved->uc_sigmask, TMEBOX_MASK_SIZE);
    sigaltstack(NULL, &moved->uc_stack);
}

/* Called by tmebox_poll_entry. 0: go on by the moved frame, as if nothing had happened. */
int tmebox_poll(struct activation *activation, void *moved) {
    struct thread *thread = activation->thread;
    activation->polling = true;
    thread->polls++;
    tmebox_suspend(activation);
    /* From the moment that this thread has the GIL until it lets it go, and after. */
    activation->instance->interrupted = true;
    if (thread->main) {
        tmebox_guard_foreign_handlers(true);
        atomic_store(&tmebox_poll_requested, true); /* resume looks */
    }
    int result = 0;
    if (activation->wants_form) {
        activation->wants_form = false;
        result = tmebox_make_side_form(activation->trap.instruction_address);
    }
    if (result == 0) {
        result = tmebox_resume(activation);
        keep_signals(thread, moved);
    } else {
        activation->outcome = RAISED;
        activation->fatal = true;
        thread->current = activation;
    }
    activation->instance->interrupted = false;
    activation->polling = false;
    thread->polls--;
    return result;
}
