/* MicroPython's heap, stack and limits in a sandbox. */
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include "py/cstack.h"
#include "py/gc.h"
#include "py/mphal.h"
#include "py/nlr.h"
#include "py/pystack.h"
#include "port.h"
#include "entry.h"

/* Garbage is collected whenever as much was allocated as lived after the last time, and at least this much:
   an untouched page costs nothing, so a program that needs little never touches the whole heap. */
#define LEAST_BLOCKS_BETWEEN ((256 * 1024) / MICROPY_BYTES_PER_GC_BLOCK)

int64_t tmebox_instructions_left;
volatile uint32_t *tmebox_interrupted;
struct mailbox *tmebox_mailbox;
static size_t stack_bytes;
static void **arrays_top; /* of what is allocated by alloca() */

/* 0, or -1 where there is no memory for a heap of this size. */
TMEBOX_EXPORT int python_start(unsigned heap_bytes, unsigned stack, unsigned mailbox) {
    char *heap = malloc(heap_bytes);
    if (heap == NULL) {
        return -1;
    }
    /* Functions' variables, of which C code needs several times as much stack for each call. */
    size_t variables = (stack / 2 < heap_bytes / 16 ? stack / 2 : heap_bytes / 16) & ~15u;
    mp_pystack_init(heap, heap + variables);
    heap += variables;
    heap_bytes -= variables;
    stack_bytes = stack;
    tmebox_mailbox = (struct mailbox *)(uintptr_t)mailbox;
    tmebox_interrupted = &tmebox_mailbox->interrupt;
    tmebox_instructions_left = INT64_MAX;
    tmebox_stack_from(__builtin_frame_address(0));
    gc_init(heap, heap + heap_bytes);
    MP_STATE_MEM(gc_alloc_threshold) = LEAST_BLOCKS_BETWEEN;
    mp_init();
    mp_sys_path = mp_obj_new_list(0, NULL);
    mp_obj_list_append(mp_sys_path, MP_OBJ_NEW_QSTR(MP_QSTR__dot_frozen));
    mp_obj_list_append(mp_sys_path, MP_OBJ_NEW_QSTR(MP_QSTR_));
    return 0;
}

TMEBOX_EXPORT int python_protocol(void) {
    return WIRE_PROTOCOL;
}

void tmebox_stack_from(void *top) {
    mp_cstack_init_with_top(top, stack_bytes);
    arrays_top = tmebox_arrays();
}

/* Garbage collection finds what registers and stack refer to: objects, arrays, and the words that functions keep. */
static __attribute__((noinline)) void collect_stack(void) {
    jmp_buf registers;
    setjmp(registers);
    uintptr_t *low = (uintptr_t *)&registers;
    uintptr_t *top = (uintptr_t *)MP_STATE_THREAD(stack_top);
    gc_collect_root((void **)low, top - low);
    void *kept[64];
    for (size_t count; low < top; low += count) {
        count = tmebox_stack_words(kept, low, top - low < 64 ? top - low : 64);
        if (count == 0) {
            break;
        }
        gc_collect_root(kept, count);
    }
    void **arrays = tmebox_arrays();
    gc_collect_root(arrays, arrays_top - arrays);
}

/* gc_info() would look at every block that there could be, of which most were never touched. The table has two
   bits for each block; of a free one both are 0. */
static size_t used_blocks(void) {
    const uint64_t low_bits = 0x5555555555555555;
    const mp_state_mem_area_t *area = &MP_STATE_MEM(area);
    size_t bytes = area->gc_last_used_block / 4 + 1, used = 0;
    for (size_t at = 0; at < bytes; at += sizeof(uint64_t)) {
        uint64_t kinds = 0;
        memcpy(&kinds, area->gc_alloc_table_start + at, bytes - at < sizeof kinds ? bytes - at : sizeof kinds);
        used += __builtin_popcountll((kinds | kinds >> 1) & low_bits);
    }
    return used;
}

void gc_collect(void) {
    gc_collect_start();
    collect_stack();
    gc_collect_end();
    size_t used = used_blocks();
    MP_STATE_MEM(gc_alloc_threshold) = used > LEAST_BLOCKS_BETWEEN ? used : LEAST_BLOCKS_BETWEEN;
}

/* Called by the interpreter when a limit is reached or the host says so. Returns if there is nothing. */
void tmebox_stop_or_go_on(void) {
    if (tmebox_instructions_left < 0) {
        nlr_jump_abort(); /* no handler of the program's sees it */
    }
    if (*tmebox_interrupted) {
        *tmebox_interrupted = 0;
        nlr_raise(MP_OBJ_FROM_PTR(&MP_STATE_VM(mp_kbd_exception)));
    }
}

#ifdef TMEBOX_METERED
/* MicroPython's own, which the build gives this name. */
void tmebox_check_stack(void);

/* What may go on for long in C looks at the stack each time round: calls, built-in functions that take one element
   after the other, regular expressions, comparisons, texts of nested values. So each counts as an instruction. */
void mp_cstack_check(void) {
    tmebox_instructions_left -= 1;
    TMEBOX_LOOK
    tmebox_check_stack();
}
#endif

void nlr_jump_fail(void *value) {
    (void)value;
    __builtin_trap();
}

void __assert_func(const char *file, int line, const char *function, const char *expression) {
    (void)file, (void)line, (void)function, (void)expression;
    __builtin_trap();
}

void mp_hal_set_interrupt_char(int c) {
    (void)c;
}
