# A 64-bit absolute host address.
    movabsq 0x123456789abcdef0, %rax
    hlt
