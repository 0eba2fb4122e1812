# The upper half is not cleared.
# base: r15
    movq (%rsp), %r11
    testb $R15_RETURN, M(%r11)
    je 9f
    movq %r11, (%rsp)
    retq
9:
    hlt
