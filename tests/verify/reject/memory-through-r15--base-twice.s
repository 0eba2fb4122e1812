# Twice the base.
# base: r15
    movl (%r15,%r15), %ecx
    hlt
