# All 64 bits of r14.
# base: r15
    movq %xmm0, %r14
    hlt
