# rsp truncated from a host address.
    movl %eax, %esp
1:
    andl $0x3fffffff, %esp
    addq %gs:BASE, %rsp
    jmp 1b
    hlt
