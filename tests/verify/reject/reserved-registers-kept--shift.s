# All 64 bits of r14.
# base: r15
    shlq $32, %r14
    hlt
