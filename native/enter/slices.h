/* Turns of a sandbox's threads that end by time: see slices.c. */
#ifndef TMEBOX_SLICES_H
#define TMEBOX_SLICES_H

#include "enter/control.h"
#include "enter/enter.h"

/* From a signal handler that interrupted sandboxed code of the calling thread: if that code's turn is over, another of the
 * sandbox's threads goes on instead once the handler returns. Whether it does. */
bool tmebox_end_turn(struct activation *activation, void *context);

/* The sandbox asks that turns end by time from then on, or do not. */
void tmebox_end_turns(struct activation *activation, bool by_time, uint64_t delay_ns);

/* From a host call that has changed to this thread, which was interrupted: goes on where it was. */
_Noreturn void tmebox_go_on(struct control *control);

/* Whether it is a thread that stands where it was interrupted. */
static inline bool tmebox_was_interrupted(const struct control *control) {
    return control->rsp != 0 && control->standing == BETWEEN_ANY;
}

/* -- resume.S --------------------------------------------------------------------------------------- */
_Noreturn void tmebox_restore_thread(const struct interrupted *state);

#endif
