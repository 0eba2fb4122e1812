# Something else than the base.
# base: r15
    movl %ebp, %esp
    andl $0x3fffffff, %esp
    addq %r14, %rsp
    hlt
