# rsp not truncated, base added again and again.
1:
    movl %eax, %esp
    andl %gs:RSP_MASK, %esp
2:
    addq %gs:RSP_START, %rsp
    jmp 2b
    hlt
