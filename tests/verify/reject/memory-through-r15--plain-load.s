# A host address.
# base: r15
    movl (%rax), %ecx
    hlt
