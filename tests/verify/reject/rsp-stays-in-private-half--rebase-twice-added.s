# The base is added twice.
    movl %eax, %esp
    andl %gs:RSP_MASK, %esp
    addq %gs:RSP_START, %rsp
    addq %gs:RSP_START, %rsp
    hlt
