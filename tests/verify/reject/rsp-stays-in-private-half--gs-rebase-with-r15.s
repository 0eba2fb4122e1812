# r15 is the program's.
    movl %ebp, %esp
    andl %gs:RSP_MASK, %esp
    addq RSP_START(%r15), %rsp
    hlt
