# The mask of a stack above the arena, and the window's base.
# base: r15
    movl %eax, %esp
    andl RSP_MASK(%r15), %esp
    addq %r15, %rsp
    hlt
