# A frame that is larger than the guard reaches another's control stack.
# base: twin
    .globl f
f: subq $DEEPEST+8, %rsp
    movq %rdi, (%rsp)
    addq $DEEPEST+8, %rsp
    retq
