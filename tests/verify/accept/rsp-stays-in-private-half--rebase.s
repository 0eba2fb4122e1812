# The rebase sequence behind each way to compute an offset.
    movl %ebp, %esp
    btrl $31, %esp
    addq %gs:BASE, %rsp
    leal -8(%rbp), %esp
    btrl $31, %esp
    addq %gs:BASE, %rsp
    subl $0x100000, %esp
    btrl $31, %esp
    addq %gs:BASE, %rsp
    subl %eax, %esp
    btrl $31, %esp
    addq %gs:BASE, %rsp
    andl $-4096, %esp
    btrl $31, %esp
    addq %gs:BASE, %rsp
    movl 8(%rsp), %esp
    btrl $31, %esp
    addq %gs:BASE, %rsp
    subq $64, %rsp
    movl %gs:(%eax), %esp
    btrl $31, %esp
    addq %gs:BASE, %rsp
1:
    jmp 1b
