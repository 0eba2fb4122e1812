# r14 times two reaches the next window.
# base: r15
    movl (%r15,%r14,2), %ecx
    hlt
