# A mask from host memory.
# isolation: data
    movl %eax, %esp
    andl RSP_MASK, %esp
    addq %gs:RSP_START, %rsp
    hlt
