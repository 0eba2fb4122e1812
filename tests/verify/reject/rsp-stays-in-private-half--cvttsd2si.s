# rsp from a floating-point number.
    cvttsd2si %xmm0, %rsp
    hlt
