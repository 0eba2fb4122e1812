# The same, step by step.
# base: twin
    .globl f
f: subq $DEEPEST, %rsp
    subq $16, %rsp
    addq $DEEPEST+16, %rsp
    retq
