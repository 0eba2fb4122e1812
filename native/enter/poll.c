/* The main thread leaves sandboxed code for a moment, to look at Python's signals, or to let go of the GIL. */
#include "enter/enter.h"
#include "threads/signals.h"

int tmebox_poll(struct activation *activation);

/* Called by tmebox_poll_entry. 0: go on as if nothing had happened. */
int tmebox_poll(struct activation *activation) {
    activation->polling = true;
    activation->thread->polls++;
    tmebox_suspend(activation);
    /* From the moment that this thread has the GIL until it lets it go, and after. */
    activation->instance->interrupted = true;
    tmebox_guard_foreign_handlers(true);
    atomic_store(&tmebox_poll_requested, true); /* resume looks */
    int result = tmebox_resume(activation);
    activation->instance->interrupted = false;
    activation->polling = false;
    activation->thread->polls--;
    return result;
}
