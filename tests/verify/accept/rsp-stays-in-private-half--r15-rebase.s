# The rebase sequence with the base in r15.
# base: r15
    movl %ebp, %esp
    andl RSP_MASK(%r15), %esp
    addq RSP_START(%r15), %rsp
    movl 8(%r15,%r14), %esp
    andl RSP_MASK(%r15), %esp
    addq RSP_START(%r15), %rsp
    subl %eax, %esp
    andl RSP_MASK(%r15), %esp
    addq RSP_START(%r15), %rsp
    hlt
