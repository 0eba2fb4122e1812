# rsp comes from rbp.
# base: twin
    .globl f
f: pushq %rbp
    leave
    retq
