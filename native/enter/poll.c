/* Leaving sandboxed code for a moment at any instruction: to look at Python's signals, to let go of the GIL, and to have
 * made what executing an instruction on the side needs. */
#include "enter/enter.h"
#include "enter/side.h"
#include "threads/signals.h"

int tmebox_poll(struct activation *activation);

/* Called by tmebox_poll_entry. 0: go on as if nothing had happened. */
int tmebox_poll(struct activation *activation) {
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
