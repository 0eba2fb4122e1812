# A host address in the low 2 GiB.
# base: r15
    movl 0x1000, %ecx
    hlt
