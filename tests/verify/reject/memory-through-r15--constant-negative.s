# An offset below the window.
# base: r15
    movl -8(%r15), %ecx
    hlt
