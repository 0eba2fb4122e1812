# A function with a frame runs into the next one.
# base: twin
    .globl f
f: pushq %rdi
    callq g
    .globl g
g:  retq
