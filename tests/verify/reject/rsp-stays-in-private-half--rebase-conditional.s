# A conditional first step.
# isolation: data
    cmovel %eax, %esp
    andl %gs:RSP_MASK, %esp
    addq %gs:RSP_START, %rsp
    hlt
