# All 64 bits of r14.
# base: r15
    rorxq $32, %rax, %r14
    hlt
