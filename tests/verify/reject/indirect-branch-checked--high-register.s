# r8 instead of rax differs in one prefix bit.
    movl %ecx, %eax
    testb $FUNCTION, M(%rax)
    je 9f
    callq *%r8
9:
    hlt
