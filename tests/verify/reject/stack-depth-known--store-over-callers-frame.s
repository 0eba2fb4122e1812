# The caller's frame, and its return address, are written.
# base: twin
    .globl f
f: movq %rdi, 64(%rsp)
    retq
