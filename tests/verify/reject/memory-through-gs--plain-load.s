# A host address.
    movq (%rax), %rcx
    hlt
