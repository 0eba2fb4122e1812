# r15 from memory.
# base: r15
    xchgq %r15, (%rsp)
    hlt
