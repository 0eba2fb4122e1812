# All 64 bits of r14.
# base: r15
    movq 8(%rsp), %r14
    hlt
