# The rebase sequence behind each way to compute an offset.
# isolation: data
    movl %ebp, %esp
    andl $0x3fffffff, %esp
    addq %gs:BASE, %rsp
    leal -8(%rbp), %esp
    andl $0x3fffffff, %esp
    addq %gs:BASE, %rsp
    subl $0x100000, %esp
    andl $0x3fffffff, %esp
    addq %gs:BASE, %rsp
    subl %eax, %esp
    andl $0x3fffffff, %esp
    addq %gs:BASE, %rsp
    andl $-4096, %esp
    andl $0x3fffffff, %esp
    addq %gs:BASE, %rsp
    movl 8(%rsp), %esp
    andl $0x3fffffff, %esp
    addq %gs:BASE, %rsp
    subq $64, %rsp
    movl %gs:(%eax), %esp
    andl $0x3fffffff, %esp
    addq %gs:BASE, %rsp
1:
    jmp 1b
