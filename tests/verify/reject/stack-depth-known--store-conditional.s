# A compare and exchange may write.
# base: twin
    .globl f
f: lock cmpxchgq %rdi, (%rsp)
    retq
