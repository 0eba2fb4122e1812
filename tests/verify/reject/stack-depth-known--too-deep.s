# A frame that is larger than the guard reaches another's control stack.
# base: twin
    .globl f
f: subq $REACH+8, %rsp
    movq %rdi, (%rsp)
    addq $REACH+8, %rsp
    retq
