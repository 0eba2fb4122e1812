/* The backend `tmemk`, in two files: who has which key and sees which page (tmemk.c), and lines that change keys
 * (tmemk_lines.c). */
#ifndef TMEBOX_HEAP_TMEMK_H
#define TMEBOX_HEAP_TMEMK_H

#include "heap/heap.h"

struct tmemk {
    int device;
    bool coherent;      /* the processor keeps what is cached under different keys alike */
    uint16_t *host_ids; /* for each page: the processor's key in the host's own view */
    uint16_t ids[HEAP_KEYS]; /* the processor's key of each of the heap's; 0: the host's */
    unsigned char *aliases[HEAP_KEYS]; /* all pages under that key; of keys that have the host's: NULL */
};

/* -- tmemk_lines.c -------------------------------------------------------------------------------------- */
/* A call of the driver about pages of the heap: 0 or an errno. */
int tmebox_tmemk_call(const struct heap *heap, unsigned long call, uint16_t id, uint32_t page, uint32_t count,
                      uint32_t rights);
/* From now on the host's view has the page under this key of the processor. False: the driver does not answer. */
bool tmebox_tmemk_show_host(struct heap *heap, uint32_t page, uint16_t id);
void tmebox_tmemk_rekey(struct heap *heap, uint32_t page, const uint16_t from[LINES], uint64_t clear);
void tmebox_tmemk_rekey_pages(struct heap *heap, uint32_t page, uint32_t count, uint16_t from);
void tmebox_tmemk_zero(struct heap *heap, uint32_t page, uint64_t lines);
void tmebox_tmemk_copy(struct heap *heap, uint32_t to, uint32_t from, uint32_t lines);
uint64_t tmebox_tmemk_report(const struct heap *heap, uint64_t place, uint64_t size);

#endif
