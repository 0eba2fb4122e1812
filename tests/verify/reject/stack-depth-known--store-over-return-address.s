# The return address is written.
# base: twin
    .globl f
f: movq %rdi, (%rsp)
    retq
