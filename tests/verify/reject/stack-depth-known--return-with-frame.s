# A return takes its own local for its caller.
# base: twin
    .globl f
f: pushq %rdi
    retq
