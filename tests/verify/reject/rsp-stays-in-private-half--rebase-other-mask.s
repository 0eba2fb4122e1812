# Another field of the control page as mask: the last offset of a stack.
# isolation: data
    movl %eax, %esp
    andl %gs:RSP_MASK+16, %esp
    addq %gs:RSP_START, %rsp
    hlt
