# gs holds another base than r15, or none.
# base: r15
    movl %ebp, %esp
    andl $0x3fffffff, %esp
    addq %gs:BASE, %rsp
    hlt
