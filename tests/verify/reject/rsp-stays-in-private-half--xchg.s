# rsp from a register.
# isolation: data
    xchgq %rax, %rsp
    hlt
