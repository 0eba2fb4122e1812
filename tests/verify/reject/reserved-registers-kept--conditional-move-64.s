# All 64 bits of r14.
# base: r15
    cmoveq %rax, %r14
    hlt
