# r11 unchecked.
# base: r15
    jne 1f
    movl (%rsp), %r11d
    testb $R15_RETURN, M(%r11)
    je 9f
1:
    movq %r11, (%rsp)
    retq
9:
    hlt
