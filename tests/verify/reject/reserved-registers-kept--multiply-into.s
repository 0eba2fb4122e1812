# The second destination of a multiplication.
# base: r15
    mulxq %rax, %r14, %rcx
    hlt
