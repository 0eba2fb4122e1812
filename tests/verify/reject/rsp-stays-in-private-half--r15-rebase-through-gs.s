# gs holds another base than r15, or none.
# base: r15
    movl %ebp, %esp
    andl RSP_MASK(%r15), %esp
    addq %gs:RSP_START, %rsp
    hlt
