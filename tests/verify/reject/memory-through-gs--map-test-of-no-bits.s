# A mask of zero is never set and reads the map for nothing.
    movl %ecx, %eax
    testb $0, M(%rax)
    je 9f
    callq *%rax
9:
    hlt
