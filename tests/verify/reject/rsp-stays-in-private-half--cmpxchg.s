# rsp from a register, perhaps.
# isolation: data
    cmpxchgq %rax, %rsp
    hlt
