# All 64 bits of r14.
# base: r15
    movabsq $0x100000000, %r14
    hlt
