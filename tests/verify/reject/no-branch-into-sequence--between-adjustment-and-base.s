# A jump between the two instructions that write rsp leaves it without the base.
# isolation: data
    jmp 1f
    movl %ebp, %esp
    andl $0x3fffffff, %esp
1:
    addq %gs:BASE, %rsp
    hlt
