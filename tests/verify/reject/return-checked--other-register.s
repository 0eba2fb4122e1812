# The sequence with another register is not the sequence.
# base: r15
    movl (%rsp), %r10d
    testb $R15_RETURN, M(%r10)
    je 9f
    movq %r10, (%rsp)
    retq
9:
    hlt
