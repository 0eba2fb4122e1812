# rsp from a register, perhaps.
    cmpxchgq %rax, %rsp
    hlt
