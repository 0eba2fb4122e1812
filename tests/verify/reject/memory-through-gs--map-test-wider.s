# A read of four bytes of the map.
    movl %ecx, %eax
    testl $FUNCTION, M(%rax)
    je 9f
    callq *%rax
9:
    hlt
