# The rebase sequence with the base in r15.
# base: r15
    movl %ebp, %esp
    andl $0x3fffffff, %esp
    addq %r15, %rsp
    movl 8(%r15,%r14), %esp
    andl $0x3fffffff, %esp
    addq %r15, %rsp
    subl %eax, %esp
    andl $0x3fffffff, %esp
    addq %r15, %rsp
    hlt
