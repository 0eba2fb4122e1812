# Control runs into a place of another depth.
# base: twin
    .globl f
f: pushq %rdi
depth_0:
1:  retq
    .globl g
g:  jmp 1b
