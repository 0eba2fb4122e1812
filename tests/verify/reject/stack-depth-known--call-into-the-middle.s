# A call leads to where a frame is claimed: the return takes its caller's frame.
# base: twin
    .globl f
f: callq 1f
    retq
    .globl g
g:  pushq %rdi
depth_8:
1:  popq %rdi
    retq
