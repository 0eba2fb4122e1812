# The first steps without the last leave rsp at a host address.
    movl %eax, %esp
    btrl $31, %esp
    nop
    hlt
