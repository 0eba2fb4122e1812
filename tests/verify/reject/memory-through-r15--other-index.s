# An index of 64 bits.
# base: r15
    movl (%r15,%rax), %ecx
    hlt
