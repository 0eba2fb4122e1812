# rsp from a vector register.
    movq %xmm0, %rsp
    hlt
