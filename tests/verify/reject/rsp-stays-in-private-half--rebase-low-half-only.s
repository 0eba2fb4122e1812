# The first step writes 16 bits: the upper half of rsp stays.
    movw %ax, %sp
    andl %gs:RSP_MASK, %esp
    addq %gs:RSP_START, %rsp
    hlt
