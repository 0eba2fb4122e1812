# A claim says that the frame is gone.
# base: twin
    .globl f
f: pushq %rdi
    jmp 1f
depth_0:
1:  retq
