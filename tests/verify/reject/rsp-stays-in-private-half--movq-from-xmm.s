# rsp from a vector register.
# isolation: data
    movq %xmm0, %rsp
    hlt
