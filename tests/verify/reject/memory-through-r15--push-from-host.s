# A host address.
# base: r15
    pushq (%rax)
    hlt
