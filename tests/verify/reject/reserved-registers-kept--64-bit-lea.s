# A host address in r14.
# base: r15
    leaq (%r15,%rax), %r14
    hlt
