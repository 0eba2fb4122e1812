# r15 is the program's.
    movl %ebp, %esp
    andl $0x3fffffff, %esp
    addq %r15, %rsp
    hlt
