# rsp from a vector register.
    pextrq $1, %xmm0, %rsp
    hlt
