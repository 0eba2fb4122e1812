# r15 is the program's.
# isolation: data
    movl %ebp, %esp
    andl $0x3fffffff, %esp
    addq %r15, %rsp
    hlt
