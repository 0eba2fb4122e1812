# base: twin
# Frames of all kinds, loops in them, early returns, tail calls, calls of functions that nobody claims.
    .globl f
f:
    pushq %rbx
    subq $24, %rsp
    movq %rdi, 16(%rsp)
    movq %rdi, %rbx
depth_32_body:
loop:
    callq local
    decq %rbx
    jne loop
    testq %rax, %rax
    je early
    addl $1, (%rsp)
    movq %rax, -136(%rsp)
    addq $24, %rsp
    popq %rbx
    jmp local
early:
    leaq 24(%rsp), %rsp
    popq %rbx
    retq
local:
    movq %rdi, -8(%rsp)
    movq (%rsp), %rax
    movups %xmm0, -16(%rsp)
    retq
    .globl g
g:
    pushq $1
    pushq 8(%rsp)
    popq %gs:(%eax)
    popq %rax
    movl %eax, %eax
    testb $FUNCTION, M(%rax)
    je 9f
    jmp *%rax
    .globl h
h:
    pushq %rax
    movl %edi, %eax
    testb $FUNCTION, M(%rax)
    je 9f
    call *%rax
    popq %rcx
    retq
9:
    hlt
