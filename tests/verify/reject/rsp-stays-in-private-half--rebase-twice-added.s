# The base is added twice.
# isolation: data
    movl %eax, %esp
    andl $0x3fffffff, %esp
    addq %gs:BASE, %rsp
    addq %gs:BASE, %rsp
    hlt
