/* The one place where the host touches a window at an address that sandboxed code chose. */

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

    .text

/* struct window_fault tmebox_window_copy(void *to, const void *from, size_t size_bytes);
 *
 * A fault between the two labels resumes at tmebox_window_fault with rax and rdx describing it. A leaf
 * function that touches no stack, so that returning is all there is to clean up. */
    .globl tmebox_window_begin, tmebox_window_end
    .hidden tmebox_window_begin, tmebox_window_end
tmebox_window_begin:
    function tmebox_window_copy
    cmpq $64, %rdx
    ja 2f
    testb $7, %dl
    jne 2f
    testq %rdx, %rdx
    je 3f
    /* A few words, upwards: the microcode takes several times as long to begin. */
    addq %rdx, %rdi
    addq %rdx, %rsi
    negq %rdx
1:  movq (%rsi,%rdx), %rax
    movq %rax, (%rdi,%rdx)
    addq $8, %rdx
    jne 1b
    jmp 3f
2:  movq %rdx, %rcx
    rep movsb
3:
    xorl %eax, %eax
    xorl %edx, %edx
    ret
    end_function tmebox_window_copy
tmebox_window_end:

    function tmebox_window_fault
    ret
    end_function tmebox_window_fault

    .section .note.GNU-stack, "", @progbits
