# A branch from a frame into one of another size.
# base: twin
    .globl f
f: pushq %rdi
    jmp 1f
    .globl g
g:  subq $24, %rsp
depth_24:
1:  addq $24, %rsp
    retq
