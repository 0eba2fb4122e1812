# A 64-bit btr does not clear the upper half... of an rsp that was not zero-extended.
# isolation: data
    movq %rax, %rsp
    andl $0x3fffffff, %esp
    addq %gs:BASE, %rsp
    hlt
