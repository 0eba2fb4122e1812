# r14 is no register for a branch.
# base: r15
    movl %eax, %r14d
    testb $R15_FUNCTION, M(%r14)
    je 9f
    callq *%r14
9:
    hlt
