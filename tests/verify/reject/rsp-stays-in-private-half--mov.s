# rsp from a register.
    movq %rax, %rsp
    hlt
