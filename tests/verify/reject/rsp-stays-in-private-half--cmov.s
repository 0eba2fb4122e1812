# rsp from a register, perhaps.
# isolation: data
    cmoveq %rax, %rsp
    hlt
