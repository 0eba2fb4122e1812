# The first steps without the last leave rsp at a host address.
# isolation: data
    movl %eax, %esp
    andl $0x3fffffff, %esp
    nop
    hlt
