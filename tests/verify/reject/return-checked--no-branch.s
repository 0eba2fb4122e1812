# The check has no consequence.
# base: r15
    movl (%rsp), %r11d
    testb $R15_RETURN, M(%r11)
    movq %r11, (%rsp)
    retq
9:
    hlt
