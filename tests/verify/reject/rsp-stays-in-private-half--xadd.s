# rsp from a register.
    xaddq %rsp, %rax
    hlt
