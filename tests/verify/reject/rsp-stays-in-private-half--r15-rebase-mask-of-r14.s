# A mask that the attacker chooses.
# base: r15
    movl %eax, %esp
    andl RSP_MASK(%r15,%r14), %esp
    addq RSP_START(%r15), %rsp
    hlt
