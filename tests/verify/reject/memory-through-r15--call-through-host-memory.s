# A host address.
# base: r15
    callq *(%rax)
    hlt
