# r14 without the base is a host address.
# base: r15
    movl (%r14), %ecx
    hlt
