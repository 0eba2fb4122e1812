# All 64 bits of r14.
# base: r15
    bsfq %rax, %r14
    hlt
