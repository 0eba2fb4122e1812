# The rebase sequence behind each way to compute an offset.
    movl %ebp, %esp
    andl %gs:RSP_MASK, %esp
    addq %gs:RSP_START, %rsp
    leal -8(%rbp), %esp
    andl %gs:RSP_MASK, %esp
    addq %gs:RSP_START, %rsp
    subl $0x100000, %esp
    andl %gs:RSP_MASK, %esp
    addq %gs:RSP_START, %rsp
    subl %eax, %esp
    andl %gs:RSP_MASK, %esp
    addq %gs:RSP_START, %rsp
    andl $-4096, %esp
    andl %gs:RSP_MASK, %esp
    addq %gs:RSP_START, %rsp
    movl 8(%rsp), %esp
    andl %gs:RSP_MASK, %esp
    addq %gs:RSP_START, %rsp
    subq $64, %rsp
    movl %gs:(%eax), %esp
    andl %gs:RSP_MASK, %esp
    addq %gs:RSP_START, %rsp
1:
    jmp 1b
