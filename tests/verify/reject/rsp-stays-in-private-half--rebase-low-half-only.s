# The first step writes 16 bits: the upper half of rsp stays.
# isolation: data
    movw %ax, %sp
    andl $0x3fffffff, %esp
    addq %gs:BASE, %rsp
    hlt
