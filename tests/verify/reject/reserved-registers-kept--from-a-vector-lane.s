# All 64 bits of r15.
# base: r15
    pextrq $1, %xmm0, %r15
    hlt
