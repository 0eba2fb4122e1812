# A host address.
# base: r15
    popq (%rax)
    hlt
