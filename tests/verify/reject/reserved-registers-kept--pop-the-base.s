# r15 from memory.
# base: r15
    popq %r15
    hlt
