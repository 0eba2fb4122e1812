# rsp comes from a register.
# base: twin
    .globl f
f: movq %rdi, %rsp
    retq
