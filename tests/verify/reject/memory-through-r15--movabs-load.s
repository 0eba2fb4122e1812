# A 64-bit absolute address.
# base: r15
    movabsl 0x123456789, %eax
    hlt
