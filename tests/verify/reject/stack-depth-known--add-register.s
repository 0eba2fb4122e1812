# rsp moves by a register.
# base: twin
    .globl f
f: addq %rdi, %rsp
    retq
