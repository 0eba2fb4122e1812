# Another base.
# base: r15
    movl %eax, %r15d
    hlt
