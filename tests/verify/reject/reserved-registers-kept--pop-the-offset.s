# All 64 bits of r14.
# base: r15
    popq %r14
    hlt
