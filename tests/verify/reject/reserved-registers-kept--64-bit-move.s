# All 64 bits of r14.
# base: r15
    movq %rax, %r14
    hlt
