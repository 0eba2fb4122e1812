# The same by a computed one.
# base: twin
    .globl f
f: pushq %rdi
    movl %edi, %eax
    testb $FUNCTION, M(%rax)
    je 9f
    jmp *%rax
9:  hlt
