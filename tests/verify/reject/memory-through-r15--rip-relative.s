# The text, or what is beside it.
# base: r15
    movl 8(%rip), %ecx
    hlt
