# A mask from host memory.
    movl %eax, %esp
    andl RSP_MASK, %esp
    addq %gs:RSP_START, %rsp
    hlt
