# A loop that pushes has no depth.
# base: twin
    .globl f
f: pushq %rdi
    jmp f
