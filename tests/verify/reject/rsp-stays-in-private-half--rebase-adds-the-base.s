# The mask of a stack above the arena, and the window's base: rsp in the arena, which host threads write.
# isolation: data
    movl %eax, %esp
    andl %gs:RSP_MASK, %esp
    addq %gs:BASE, %rsp
    hlt
