# A jump between the two instructions that write rsp leaves it without the base.
    jmp 1f
    movl %ebp, %esp
    andl %gs:RSP_MASK, %esp
1:
    addq %gs:RSP_START, %rsp
    hlt
