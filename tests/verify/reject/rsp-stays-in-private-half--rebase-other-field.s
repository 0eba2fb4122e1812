# Another field of the control page, or memory that the sandbox writes, as base.
# isolation: data
    movl %eax, %esp
    andl $0x3fffffff, %esp
    addq %gs:BASE+8, %rsp
    hlt
