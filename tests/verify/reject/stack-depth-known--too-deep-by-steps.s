# The same, step by step.
# base: twin
    .globl f
f: subq $REACH, %rsp
    subq $16, %rsp
    addq $REACH+16, %rsp
    retq
