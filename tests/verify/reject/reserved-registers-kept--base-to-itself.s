# Half of the base.
# base: r15
    movl %r15d, %r15d
    hlt
