# Another value than the checked one is returned to.
# base: r15
    movl (%rsp), %r11d
    testb $R15_RETURN, M(%r11)
    je 9f
    movq %r10, (%rsp)
    retq
9:
    hlt
