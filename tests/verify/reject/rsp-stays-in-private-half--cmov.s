# rsp from a register, perhaps.
    cmoveq %rax, %rsp
    hlt
