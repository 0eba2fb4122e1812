# The sequence with another register is not the sequence.
    movl (%rsp), %r10d
    testb $RETURN, M(%r10)
    je 9f
    movq %r10, (%rsp)
    retq
9:
    hlt
