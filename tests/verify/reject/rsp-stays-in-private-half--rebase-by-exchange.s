# xchg gives esp to a register, but no rule needs it.
    xchgl %eax, %esp
    andl %gs:RSP_MASK, %esp
    addq %gs:RSP_START, %rsp
    hlt
