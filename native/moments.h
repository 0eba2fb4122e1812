/* Waiting for who has a lock for a moment: usable in signal handlers. Changes errno. */
#ifndef TMEBOX_MOMENTS_H
#define TMEBOX_MOMENTS_H

#include <sched.h>
#include <time.h>

#define MOMENTS_OF_SPINNING 64   /* what a short critical section takes on another CPU */
#define MOMENTS_OF_YIELDING 1024 /* and then: who has it may be of a lower priority, and only run while this one sleeps */
#define NAP_NS 20000

/* tries: how often the caller has found it taken. */
static inline void tmebox_wait_a_moment(unsigned tries) {
    if (tries < MOMENTS_OF_SPINNING) {
        __builtin_ia32_pause();
    } else if (tries < MOMENTS_OF_SPINNING + MOMENTS_OF_YIELDING) {
        sched_yield();
    } else {
        nanosleep(&(struct timespec){0, NAP_NS}, NULL);
    }
}

#endif
