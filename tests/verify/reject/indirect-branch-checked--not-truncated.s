# The upper half is not cleared.
    movslq %ecx, %rax
    testb $FUNCTION, M(%rax)
    je 9f
    callq *%rax
9:
    hlt
