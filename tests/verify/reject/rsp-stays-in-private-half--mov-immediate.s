# rsp from a constant.
# isolation: data
    movq $0x1000, %rsp
    hlt
