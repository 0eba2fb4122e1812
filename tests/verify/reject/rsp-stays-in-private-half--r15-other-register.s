# Something else than the base.
# base: r15
    movl %ebp, %esp
    andl RSP_MASK(%r15), %esp
    addq %r14, %rsp
    hlt
