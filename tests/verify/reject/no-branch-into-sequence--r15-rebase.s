# Past the mask.
# base: r15
    movl %ebp, %esp
    andl RSP_MASK(%r15), %esp
1:
    addq RSP_START(%r15), %rsp
    jmp 1b
    hlt
