# A conditional first step.
    cmovel %eax, %esp
    andl %gs:RSP_MASK, %esp
    addq %gs:RSP_START, %rsp
    hlt
