/* Mappings at addresses that are chosen here, where nobody else may ever come to have one. */
#ifndef TMEBOX_FIXED_H
#define TMEBOX_FIXED_H

#include "process.h"

#include <sys/types.h>

/* What a place holds after something was to be mapped there. */
enum placed {
    PLACED,
    AS_BEFORE, /* it was refused; what was there is there still */
    NOTHING,   /* that, too, was lost: private memory without access holds the place */
};

/* All are async-signal-safe. */

/* Private memory, where nothing is mapped. False with errno set: EEXIST if something is. */
bool tmebox_map_free(void *start, size_t size_bytes, int protection);
/* Private memory that cannot be written, instead of what is mapped in all of the place. False with errno set: what was
 * there is there still. */
bool tmebox_map_over(void *start, size_t size_bytes, int protection);
/* All of one mapping, instead of what is mapped at `to`. In any case it is gone where it was. */
enum placed tmebox_move_over(void *from, void *to, size_t size_bytes);
/* What a device maps, which cannot be moved, instead of what is mapped there. */
enum placed tmebox_map_device_over(void *start, size_t size_bytes, int device, off_t offset);
/* Zeros wherever nothing is mapped; writable or readable as far as the process's limits let them be. False: something
 * was there, or could not be mapped. */
bool tmebox_fill(void *start, size_t size_bytes);
/* The kernel merges these pages with no others, until the host asks for it anew. False with errno set: it takes a
 * mapping, of which there is none left. */
bool tmebox_never_merge(void *start, size_t size_bytes);
/* The same; a forked child finds zeros there, and a core dump does not look. Of private memory. False with errno set. */
bool tmebox_keep_to_process(void *start, size_t size_bytes);

#endif
