# rsp from sign bits.
    pmovmskb %xmm0, %esp
    hlt
