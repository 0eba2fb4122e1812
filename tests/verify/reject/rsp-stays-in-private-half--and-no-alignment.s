# A mask that is no power of two clears any bits.
    andq $-24, %rsp
    pushq %rax
    hlt
