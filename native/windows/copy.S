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
 * function that touches no stack, so that returning is all there is to clean up.
 *
 * The microcode of `rep movsb` takes up to 60 ns to begin. So what is short goes by words, or by vectors: the last
 * piece may overlap the one before, which has the same bytes. Addresses go upwards, so that the
 * first that cannot be accessed is the one that is told. Clobbers xmm0. */
    .globl tmebox_window_begin, tmebox_window_end
    .hidden tmebox_window_begin, tmebox_window_end
tmebox_window_begin:
    function tmebox_window_copy
    cmpq $16, %rdx
    jb 3f
    cmpq $1024, %rdx
    ja 2f
    addq %rdx, %rdi
    addq %rdx, %rsi
    movq %rdx, %rcx
    negq %rcx
1:  movdqu (%rsi,%rcx), %xmm0
    movdqu %xmm0, (%rdi,%rcx)
    addq $16, %rcx
    cmpq $-16, %rcx
    jl 1b
    movdqu -16(%rsi), %xmm0
    movdqu %xmm0, -16(%rdi)
    xorl %eax, %eax
    xorl %edx, %edx
    ret
2:  movq %rdx, %rcx
    rep movsb
    xorl %eax, %eax
    xorl %edx, %edx
    ret
3:  testb $8, %dl
    jne 8f
    testb $4, %dl
    jne 4f
    testq %rdx, %rdx
    je 9f
    /* One, two or three bytes: the first, the middle and the last, some of which are the same. */
    movq %rdx, %rcx
    shrq $1, %rcx
    movzbl (%rsi), %eax
    movzbl (%rsi,%rcx), %r8d
    movzbl -1(%rsi,%rdx), %r9d
    movb %al, (%rdi)
    movb %r8b, (%rdi,%rcx)
    movb %r9b, -1(%rdi,%rdx)
    jmp 9f
4:  movl (%rsi), %eax
    movl -4(%rsi,%rdx), %ecx
    movl %eax, (%rdi)
    movl %ecx, -4(%rdi,%rdx)
    jmp 9f
8:  movq (%rsi), %rax
    movq -8(%rsi,%rdx), %rcx
    movq %rax, (%rdi)
    movq %rcx, -8(%rdi,%rdx)
9:  xorl %eax, %eax
    xorl %edx, %edx
    ret
    end_function tmebox_window_copy
tmebox_window_end:

    function tmebox_window_fault
    ret
    end_function tmebox_window_fault

    .section .note.GNU-stack, "", @progbits
