# rsp plus a register.
# isolation: data
    leaq (%rsp,%rax), %rsp
    hlt
