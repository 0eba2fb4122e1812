# bsf leaves its register alone where no bit is set: the upper half of rsp is what it was.
    bsfl %eax, %esp
    andl %gs:RSP_MASK, %esp
    addq %gs:RSP_START, %rsp
    hlt
