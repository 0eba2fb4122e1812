# A mask that is no power of two clears any bits.
# isolation: data
    andq $-24, %rsp
    pushq %rax
    hlt
