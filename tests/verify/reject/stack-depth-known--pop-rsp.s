# rsp comes from memory.
# base: twin
    .globl f
f: pushq %rdi
    popq %rsp
    retq
