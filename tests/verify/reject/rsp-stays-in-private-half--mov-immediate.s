# rsp from a constant.
    movq $0x1000, %rsp
    hlt
