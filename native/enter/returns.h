/* Where calls return to: see returns.c. */
#ifndef TMEBOX_RETURNS_H
#define TMEBOX_RETURNS_H

#include "enter/enter.h"

/* For a text in [start, end): places relative to its start, ascending. False: no memory. */
bool tmebox_note_returns(uint64_t start, uint64_t end, const uint32_t *places, const uint32_t *depths, size_t count);

/* The depth at a place that a call returns to, or where an exception goes on; -1: it is none. */
int64_t tmebox_depth_at(uint64_t address);

/* Of a text that was noted, by its part of the target map. */
bool tmebox_is_function(uint64_t address);

/* Lets a host call return to `address` with rsp at this offset. False: there is no such frame. */
bool tmebox_longjmp(struct activation *activation, uint64_t offset, uint64_t address);

/* Without the GIL, around anything that asks about return addresses. False: texts come or go now. */
bool tmebox_begin_walk(struct thread *thread);
void tmebox_end_walk(struct thread *thread);

/* The host call that asks for it (hostcall.c), without leaving the sandbox. False: it is to be made as others are, as
 * while texts come and go, or where it ends in a trap. */
bool tmebox_answer_jump(struct activation *activation);

#endif
