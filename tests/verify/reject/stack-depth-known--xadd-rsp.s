# rsp is exchanged.
# base: twin
    .globl f
f: xchgq %rsp, %rdi
    retq
