# rsp truncated from a host address.
    movl %eax, %esp
1:
    andl %gs:RSP_MASK, %esp
    addq %gs:RSP_START, %rsp
    jmp 1b
    hlt
