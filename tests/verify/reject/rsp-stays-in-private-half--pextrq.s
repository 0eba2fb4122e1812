# rsp from a vector register.
# isolation: data
    pextrq $1, %xmm0, %rsp
    hlt
