# An exchange writes, too.
# base: twin
    .globl f
f: xchgq %rdi, (%rsp)
    retq
