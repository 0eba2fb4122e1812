# The same by a conditional jump.
# base: twin
    .globl f
f: pushq %rdi
    je g
    popq %rdi
    retq
    .globl g
g:  retq
