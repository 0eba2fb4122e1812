# r14 beyond 4 GiB.
# base: r15
    addq %rax, %r14
    hlt
