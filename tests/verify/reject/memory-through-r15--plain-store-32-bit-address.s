# 32 bits, but not in the window.
# base: r15
    movl %ecx, (%eax)
    hlt
