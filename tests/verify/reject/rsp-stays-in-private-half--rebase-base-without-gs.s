# A base from host memory.
# isolation: data
    movl %eax, %esp
    andl $0x3fffffff, %esp
    addq BASE, %rsp
    hlt
