# rsp from a register.
    xchgq %rax, %rsp
    hlt
