# A constant target is a direct branch.
    movl $0x41000000, %eax
    testb $FUNCTION, M(%rax)
    je 9f
    callq *%rax
9:
    hlt
