# All 64 bits of r14.
# base: r15
    imulq $3, %rax, %r14
    hlt
