# Straight to ret.
# base: r15
    jne 1f
    movl (%rsp), %r11d
    testb $R15_RETURN, M(%r11)
    je 9f
    movq %r11, (%rsp)
1:
    retq
9:
    hlt
