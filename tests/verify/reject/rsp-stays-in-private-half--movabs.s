# rsp from a 64-bit constant.
# isolation: data
    movabsq $0x123456789abcdef0, %rsp
    hlt
