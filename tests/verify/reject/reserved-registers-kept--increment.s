# r14 may pass 4 GiB.
# base: r15
    incq %r14
    hlt
