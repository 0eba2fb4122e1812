# rsp truncated from a host address.
# isolation: data
    movl %eax, %esp
1:
    andl $0x3fffffff, %esp
    addq %gs:BASE, %rsp
    jmp 1b
    hlt
