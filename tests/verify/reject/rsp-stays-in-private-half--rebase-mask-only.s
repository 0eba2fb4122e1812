# The first steps without the last leave rsp at a host address.
    movl %eax, %esp
    andl %gs:RSP_MASK, %esp
    nop
    hlt
