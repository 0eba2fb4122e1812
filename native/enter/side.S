/* Executing a sandbox's instruction on the host's memory: what C cannot do without changing registers.
 *
 * It runs on the signal handler's stack. rsp and the segment bases stay the host's throughout. */
#include "enter/side.h"

    .macro function name
    .globl \name
    .hidden \name
    .type \name, @function
    .balign 32
\name:
    .endm

    .macro end_function name
    .size \name, . - \name
    .endm

    /* Its registers but rsp and rdi, from the run in rdi (movq), or into it. */
    .macro load number register
    movq 8*\number(%rdi), %\register
    .endm

    .macro store number register
    movq %\register, 8*\number(%rdi)
    .endm

    .macro all_but_rdi what
    \what 0 rax
    \what 1 rcx
    \what 2 rdx
    \what 3 rbx
    \what 5 rbp
    \what 6 rsi
    \what 8 r8
    \what 9 r9
    \what 10 r10
    \what 11 r11
    \what 12 r12
    \what 13 r13
    \what 14 r14
    \what 15 r15
    .endm

    /* Vector registers and MXCSR, from the area in rcx as fxsave leaves it, or into it: a fraction of xrstor's time. */
    .macro vectors what
    .irp number, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    .ifc \what, load
    movups 160+16*\number(%rcx), %xmm\number
    .else
    movups %xmm\number, 160+16*\number(%rcx)
    .endif
    .endr
    .endm

    .text

/* bool tmebox_side_run(struct side_run *run);
 *
 * The stub is one instruction and `ret`. Its extended state, if it uses any, comes from the run's xsave area and goes
 * back there; what the host has of these parts meanwhile is lost, which in a signal handler the kernel restores. The
 * C code that runs between here and there moves with vector registers, but computes with none: so it needs no MXCSR
 * of its own. Clobbers what a C function may. Trusts the run. */
    function tmebox_side_run
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    pushq %rdi
    movq SIDE_RUN_STATE(%rdi), %rcx
    testq %rcx, %rcx
    je 1f
    movl SIDE_RUN_STATE_BITS(%rdi), %eax
    xorl %edx, %edx
    testl %eax, %eax
    je 2f
    js 4f
    xrstor64 (%rcx)
    jmp 1f
4:  ldmxcsr 24(%rcx)
    vectors load
    jmp 1f
2:  fxrstor64 (%rcx)
1:
    pushq SIDE_RUN_STUB(%rdi)
    pushq SIDE_RUN_FLAGS(%rdi)
    popfq
    all_but_rdi load
    load 7 rdi
    call *(%rsp)
    pushfq
    movq %rdi, 8(%rsp)              /* over the stub's address */
    movq 16(%rsp), %rdi
    all_but_rdi store
    popq SIDE_RUN_FLAGS(%rdi)
    popq 8*7(%rdi)
    cld                             /* what the C around it relies on; no stub changes it */
    movq SIDE_RUN_STATE(%rdi), %rcx
    testq %rcx, %rcx
    je 1f
    movl SIDE_RUN_STATE_BITS(%rdi), %eax
    xorl %edx, %edx
    testl %eax, %eax
    je 2f
    js 4f
    xsave64 (%rcx)
    jmp 1f
4:  stmxcsr 24(%rcx)
    vectors store
    jmp 1f
2:  fxsave64 (%rcx)
1:
    movl $1, %eax
3:
    popq %rdi
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    end_function tmebox_side_run

/* Not called: where the signal handler resumes when a stub has faulted. rsp is what it was in the stub, rax and rdx
 * say what happened. The run's registers and its state are what they were. */
    function tmebox_side_run_faulted
    addq $16, %rsp                  /* the return address, the stub's address */
    movq (%rsp), %rdi
    movq %rax, SIDE_RUN_FAULT(%rdi)
    movq %rdx, SIDE_RUN_FAULT+8(%rdi)
    cld
    xorl %eax, %eax
    jmp 3b
    end_function tmebox_side_run_faulted

/* struct window_fault tmebox_side_move(void *to, const void *from, uint64_t *count, unsigned order);
 * struct window_fault tmebox_side_store(void *to, uint64_t value, uint64_t *count, unsigned order);
 *
 * The string instruction itself, so that an element is moved entirely or not at all, and what overlaps comes out as
 * it does on the CPU. Leaf functions that touch no stack: after a fault they go on at tmebox_side_string_faulted, with
 * rcx as it was in the instruction, and rax and rdx set. */
    .macro string_functions kind
    testl %ecx, %ecx
    movq %rdx, %r8
    movl %ecx, %r9d
    movq (%rdx), %rcx
    je 1f
    cmpl $2, %r9d
    jb 2f
    je 3f
    rep \kind\()sq
    jmp 4f
3:  rep \kind\()sl
    jmp 4f
2:  rep \kind\()sw
    jmp 4f
1:  rep \kind\()sb
4:  xorl %eax, %eax
    xorl %edx, %edx
    movq %rcx, (%r8)
    ret
    .endm

    .globl tmebox_side_string_begin, tmebox_side_string_end
    .hidden tmebox_side_string_begin, tmebox_side_string_end
tmebox_side_string_begin:
    function tmebox_side_move
    string_functions mov
    end_function tmebox_side_move

    function tmebox_side_store
    movq %rsi, %rax
    string_functions sto
    end_function tmebox_side_store
tmebox_side_string_end:

    function tmebox_side_string_faulted
    movq %rcx, (%r8)
    ret
    end_function tmebox_side_string_faulted

    .section .note.GNU-stack, "", @progbits
