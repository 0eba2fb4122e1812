# rsp from a register.
# isolation: data
    xaddq %rsp, %rax
    hlt
