# 32 bits of the base.
# base: r15
    movl (%r15d,%r14d), %ecx
    hlt
