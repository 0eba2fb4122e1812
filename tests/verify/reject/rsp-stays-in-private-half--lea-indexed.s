# rsp plus a register.
    leaq (%rsp,%rax), %rsp
    hlt
