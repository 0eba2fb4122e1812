# rsp from a register.
# isolation: data
    movq %rax, %rsp
    hlt
