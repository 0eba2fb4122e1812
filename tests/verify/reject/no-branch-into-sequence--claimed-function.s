# A claimed function that is the call of a sequence.
    movl %ecx, %eax
    testb $FUNCTION, M(%rax)
    je 9f
.globl inside
inside:
    callq *%rax
9:
    hlt
