# A host address.
# base: r15
    prefetcht0 (%rax)
    hlt
