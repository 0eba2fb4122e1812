# Past the mask.
# base: r15
    movl %ebp, %esp
    andl $0x3fffffff, %esp
1:
    addq %r15, %rsp
    jmp 1b
    hlt
