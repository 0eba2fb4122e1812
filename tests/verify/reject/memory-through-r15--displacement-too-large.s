# Beyond what the guard behind the window catches.
# base: r15
    movl R15_REACH+1(%r15,%r14), %ecx
    hlt
