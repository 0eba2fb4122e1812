# Sixteen bytes begin in the frame and end in the return address.
# base: twin
    .globl f
f: pushq %rax
    movups %xmm0, (%rsp)
    popq %rax
    retq
