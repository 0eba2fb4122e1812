# A base from host memory.
    movl %eax, %esp
    andl %gs:RSP_MASK, %esp
    addq RSP_START, %rsp
    hlt
