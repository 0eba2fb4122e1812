# A 64-bit btr does not clear the upper half... of an rsp that was not zero-extended.
    movq %rax, %rsp
    andl %gs:RSP_MASK, %esp
    addq %gs:RSP_START, %rsp
    hlt
