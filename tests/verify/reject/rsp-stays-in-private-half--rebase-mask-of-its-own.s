# The window says how much of rsp stays: where its stack is above the arena, this much is not all.
# isolation: data
    movl %eax, %esp
    andl $0x3fffffff, %esp
    addq %gs:RSP_START, %rsp
    hlt
