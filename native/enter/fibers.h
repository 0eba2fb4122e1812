/* Threads of a sandbox that take turns: see fibers.c. */
#ifndef TMEBOX_FIBERS_H
#define TMEBOX_FIBERS_H

#include "enter/enter.h"

/* A thread that will begin in a function of verified code, with the stack [low, top), offsets. Its number, from 1 on, or
 * a negative error number. With the GIL held. */
int64_t tmebox_begin_fiber(struct instance *instance, uint64_t function, uint64_t low, uint64_t top);

/* Lets the host call return to where another thread stood; 0 is the first. `ends`, if not 0: the one that calls never goes on,
 * nor does, unless that is the first, the one whose number is less by 1. False: there is none that stands. */
bool tmebox_switch_fiber(struct activation *activation, uint64_t number, uint64_t ends);

/* Whether these words, the last of which is below `top`, can be what a thread that stands has on its stack [low, top). */
bool tmebox_is_stack(uint64_t low, uint64_t top, const uint64_t *words, uint64_t count);

/* The thread with a number that nobody has, as it stood in another sandbox, whose memory knows it by that. Only such words
 * are taken. False with an exception set. With the GIL held. */
bool tmebox_restore_fiber(struct instance *instance, uint32_t number, uint64_t low, uint64_t top, const uint64_t *words,
                          uint64_t count);

/* With the GIL held. */
void tmebox_bury_fibers(struct instance *instance);

/* All but the first, when nobody is in the sandbox any more; with the GIL held. */
void tmebox_end_fibers(struct instance *instance);

/* Of the stack that runs, from the host call's return address up. */
bool tmebox_read_stack(const struct activation *activation, uint64_t offset, uint64_t *word);

/* What only control stacks are asked about, without Python or the GIL. Whether the call was that. */
bool tmebox_answer_about_stack(struct activation *activation);

#endif
