# All 64 bits of r14.
# base: r15
    notq %r14
    hlt
