# The base of the window before.
# base: r15
    subq %rax, %r15
    hlt
