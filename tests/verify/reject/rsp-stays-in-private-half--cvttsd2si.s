# rsp from a floating-point number.
# isolation: data
    cvttsd2si %xmm0, %rsp
    hlt
