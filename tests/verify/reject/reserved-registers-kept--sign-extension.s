# r14 below zero.
# base: r15
    movslq %eax, %r14
    hlt
