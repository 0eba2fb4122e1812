# Another field of the control page, or memory that the sandbox writes, as base.
    movl %eax, %esp
    andl %gs:RSP_MASK, %esp
    addq %gs:RSP_START+8, %rsp
    hlt
