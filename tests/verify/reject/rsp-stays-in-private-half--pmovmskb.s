# rsp from sign bits.
# isolation: data
    pmovmskb %xmm0, %esp
    hlt
