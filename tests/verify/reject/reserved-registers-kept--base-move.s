# Another base.
# base: r15
    movq %rax, %r15
    hlt
