# All 64 bits of r14.
# base: r15
    cvttsd2si %xmm0, %r14
    hlt
