# The caller's frame is taken for a return address.
# base: twin
    .globl f
f: popq %rax
    retq
