# r14 is written as the source.
# base: r15
    xaddq %r14, %rax
    hlt
