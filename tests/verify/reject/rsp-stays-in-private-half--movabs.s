# rsp from a 64-bit constant.
    movabsq $0x123456789abcdef0, %rsp
    hlt
