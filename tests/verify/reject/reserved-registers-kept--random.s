# All 64 bits of r14.
# base: r15
    rdrand %r14
    hlt
