# The frame pointer is an offset, not an address.
# base: r15
    movl 8(%rbp), %ecx
    hlt
