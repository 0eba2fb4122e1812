# All 64 bits of r14.
# base: r15
    xchgq %rax, %r14
    hlt
